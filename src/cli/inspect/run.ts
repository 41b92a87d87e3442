import { keptCommits } from '../../checkpoint/kept-commits.ts';
import { runTopics } from '../../checkpoint/run-id.ts';
import type { CommittedRun } from '../../trainer/open-run.ts';
import { fields, hex, type View } from '../view.ts';

/** What the run's last commit holds, and which commits are still whole. `config`: show the settings to people too. */
export async function viewRun({ folder: run, log, newest, store }: CommittedRun, config: boolean): Promise<View> {
  const { commit } = newest;
  const topics = runTopics(run.run);
  const kept = (await keptCommits(log, topics.commits, store)).map(({ step, generation, time }) => ({
    step,
    generation,
    committed: new Date(time).toISOString(),
  }));
  const found = {
    run: run.run,
    pipeline: run.pipeline,
    log: log.url,
    topics,
    step: commit.step,
    generation: commit.generation,
    committed: new Date(commit.time).toISOString(),
    samples: commit.position.samples,
    epoch: commit.position.epoch,
    next: commit.position.next,
    queue: {
      rows: Math.min(commit.negatives.count, commit.negatives.capacity),
      capacity: commit.negatives.capacity,
      dim: commit.negatives.dim,
      digest: hex(commit.negatives.digest),
    },
    blobs: commit.blobs,
    store: store.where,
    kept,
    journalDigest: hex(commit.journalDigest),
    engine: commit.engine,
    seed: commit.seed,
    origin: commit.origin && { ...commit.origin, commit: hex(commit.origin.commit) },
    since: commit.since,
    config: JSON.parse(commit.config) as object,
  };
  const { config: settings, ...rest } = found;
  const shown = { ...rest, kept: `the weights of steps ${kept.map(({ step }) => step).join(', ') || 'none'}` };
  const text = config
    ? `${fields(shown)}\nconfig\n${JSON.stringify(settings, null, 2)}`
    : `${fields(shown)}\n${'config'.padEnd(14)} sha256 ${commit.configDigest} (--config shows it)`;
  return { found, text };
}
