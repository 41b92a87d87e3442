import { openLineage } from '../checkpoint/commit-history.ts';
import { differingSettings } from '../checkpoint/config-difference.ts';
import { readJournal } from '../checkpoint/read-journal.ts';
import { findRunFolder } from '../checkpoint/run-folder.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import { hasCode, RepulsorError } from '../errors.ts';
import type { GridRun } from '../sweep/grid.ts';
import type { RunResult } from '../sweep/results.ts';
import { FREE_SETTINGS } from '../trainer/changed-settings.ts';
import { type CommittedRun, openRun } from '../trainer/open-run.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import { lastSaid } from './sweep-command.ts';

/** A run of a sweep, its settings resolved. */
export interface SweepRun extends GridRun {
  readonly folder: string;
  readonly pipeline: Pipeline;
}

/**
 * What has become of the run so far: null where it is not done. Losses come from its journal, all else from what it said at its end.
 * @throws RepulsorError STATE_MISMATCH when the run in the folder was trained with other settings
 */
export async function finishedRun(run: SweepRun, window: number): Promise<RunResult | null> {
  if ((await findRunFolder(run.folder)) === null) return null;
  let committed: CommittedRun;
  try {
    committed = await openRun(run.folder, run.pipeline.log);
  } catch (error) {
    if (hasCode(error, 'STATE_MISSING')) return null; // it was cut off before its first commit
    throw error;
  }
  try {
    const { commit } = committed.newest;
    demandSameSettings(run, committed);
    const said = await lastSaid(run.folder, 'train', ({ ended }) => ended === 'steps' || ended === 'topic');
    const { steps } = run.pipeline;
    if (said === null || said['steps'] !== commit.step) return null;
    if (steps !== null && commit.step < steps && said['ended'] !== 'topic') return null;
    const spread = (said['repulsion'] ?? {}) as RunResult['metrics'];
    const losses = await meanLosses(committed, window);
    const { flow = null, repulsion = null, total = null } = losses;
    const speed = (said['images_per_second'] ?? null) as number | null;
    return {
      ...resultOf(run, commit.step, null),
      run: committed.folder.run,
      metrics: { ...withoutQueue(spread, run), flow, repulsion, total, images_per_second: speed },
    };
  } finally {
    await committed.log.close();
  }
}

/** A run without a result, and why. */
export function resultOf({ name, seed, values, folder }: SweepRun, steps: number, error: string | null): RunResult {
  return { name, seed, values, folder, run: null, steps, metrics: {}, error };
}

/** Without a queue there is no shift from it: a zero would read as none. */
function withoutQueue(spread: RunResult['metrics'], { pipeline }: SweepRun): RunResult['metrics'] {
  if ((pipeline.losses.repulsion?.queue ?? 0) > 0) return spread;
  return { ...spread, shift: null, similarity: null, drift: null };
}

function demandSameSettings({ folder, pipeline }: SweepRun, { newest }: CommittedRun): void {
  const committed = JSON.parse(newest.commit.config) as unknown;
  const differences = differingSettings(committed, pipeline, FREE_SETTINGS);
  const past = pipeline.steps !== null && newest.commit.step > pipeline.steps;
  if (differences.length === 0 && !past) return;
  const list = differences.map(({ path, committed: was, wanted }) => `${path} was ${was}, is ${wanted}`).join('; ');
  throw new RepulsorError(
    'STATE_MISMATCH',
    `the run in ${folder} is of another sweep: ${past ? `it has ${newest.commit.step} steps already` : list}`,
    { hint: 'name another folder with --out, or set the settings back' },
  );
}

async function meanLosses({ folder, log, newest }: CommittedRun, window: number): Promise<Record<string, number>> {
  const topics = runTopics(folder.run);
  const last = newest.commit.step;
  const first = Math.max(1, last - window + 1);
  const sums: Record<string, number> = {};
  const lineage = openLineage(log, topics.commits);
  for await (const { terms } of readJournal(log, topics.journal, lineage, { index: 0, first, last }))
    for (const [name, value] of Object.entries(terms)) sums[name] = (sums[name] ?? 0) + value;
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / (last - first + 1)]));
}
