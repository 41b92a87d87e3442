import { openLineage } from '../../checkpoint/commit-history.ts';
import { findCommit } from '../../checkpoint/find-commit.ts';
import { readQueue } from '../../checkpoint/read-queue.ts';
import { runTopics } from '../../checkpoint/run-id.ts';
import { encodeSafetensors } from '../../checkpoint/safetensors.ts';
import { writeSafetensorsFile } from '../../checkpoint/safetensors-file.ts';
import { RepulsorError } from '../../errors.ts';
import { type QueueSummary, queueSummary, queueTensors, type Spread } from '../../memory-bank/queue-summary.ts';
import type { CommittedRun } from '../../trainer/open-run.ts';
import { blocksOf } from '../../trainer/repulsion-settings.ts';
import { storedPipeline } from '../../trainer/stored-pipeline.ts';
import { hex, type View } from '../view.ts';

/**
 * The queue as of a committed step, rebuilt from its topic and checked against the digest that the commit recorded.
 * @throws RepulsorError USAGE when the step is not a committed one or the run has no queue, STATE_DAMAGED, STATE_TRUNCATED
 */
export async function viewQueue(
  { folder: { run }, log }: CommittedRun,
  step: number | null,
  out: string | null,
): Promise<View> {
  const topics = runTopics(run);
  const { commit, offset } = await findCommit(log, topics.commits, step);
  const queue = await readQueue(log, topics.negatives, openLineage(log, topics.commits, offset + 1), 0);
  if (queue === null)
    throw new RepulsorError('USAGE', `the run ${run} has no queue`, {
      hint: 'Its losses.repulsion has none: `repulsor inspect RUN --config` shows the settings.',
    });
  const repulsion = storedPipeline(commit).losses.repulsion;
  const blocks = repulsion === null ? [] : blocksOf(repulsion);
  const summary = queueSummary(queue, commit.step, blocks);
  const digest = hex(commit.negatives.digest);
  if (out !== null) {
    const about = {
      run,
      step: `${commit.step}`,
      generation: `${commit.generation}`,
      count: `${queue.count}`,
      digest,
      blocks: blocks.join(),
    };
    await writeSafetensorsFile(out, encodeSafetensors(queueTensors(queue), about));
  }
  const found = { run, step: commit.step, generation: commit.generation, digest, out, ...summary };
  const head = `queue of step ${commit.step} (commit ${commit.generation}), digest ${digest} as committed`;
  return { found, text: [head, ...lines(summary), ...(out === null ? [] : [`written to ${out}`])].join('\n') };
}

const BAR = 40;

function lines({ rows, capacity, dim, count, pointer, age, norms, labels }: QueueSummary): string[] {
  const most = labels.reduce((largest, label) => Math.max(largest, label.rows), 1);
  return [
    `rows     ${rows} of ${capacity} (${Math.round((100 * rows) / capacity)}%), ${dim} numbers each; ${count} ever put in, the next into slot ${pointer}`,
    `age      ${range(age, 0)} steps`,
    ...norms.map(({ block, norm }) => `norm     ${range(norm, 4)}${norms.length > 1 ? `, of block ${block}` : ''}`),
    ...labels.map(
      ({ label, rows: of }) =>
        `label ${`${label}`.padStart(3)} ${`${of}`.padStart(7)} ${'#'.repeat(Math.ceil((BAR * of) / most))}`,
    ),
  ];
}

const range = (spread: Spread | null, digits: number): string =>
  spread === null
    ? 'none'
    : `${spread.least.toFixed(digits)} to ${spread.most.toFixed(digits)}, median ${spread.median.toFixed(digits)}`;
