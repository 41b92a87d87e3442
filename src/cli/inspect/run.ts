import { keptCommits } from '../../checkpoint/kept-commits.ts';
import { runTopics } from '../../checkpoint/run-id.ts';
import type { CommittedRun } from '../../trainer/open-run.ts';
import { fields, hex, type View } from '../view.ts';

/** What the run's last commit holds, and which commits are still whole. `config`: show the settings to people too. */
export async function viewRun(run: CommittedRun, config: boolean): Promise<View> {
  const found = await findRun(run);
  const text = config
    ? `${summary(found)}\nconfig\n${JSON.stringify(found.config, null, 2)}`
    : `${summary(found)}\n${'config'.padEnd(14)} sha256 ${run.newest.commit.configDigest} (--config shows it)`;
  return { found, text };
}

type FoundRun = Awaited<ReturnType<typeof findRun>>;

async function findRun({ folder: run, log, newest, store }: CommittedRun) {
  const { commit } = newest;
  const topics = runTopics(run.run);
  const kept = (await keptCommits(log, topics.commits, store)).map(({ step, generation, time }) => ({
    step,
    generation,
    committed: new Date(time).toISOString(),
  }));
  return {
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
    journal_digest: hex(commit.journalDigest),
    engine: commit.engine,
    seed: commit.seed,
    origin: commit.origin && { ...commit.origin, commit: hex(commit.origin.commit) },
    since: commit.since,
    encoder: commit.position.encoder,
    config: JSON.parse(commit.config) as object,
  };
}

function summary(found: FoundRun): string {
  const { topics, next, queue, blobs, kept, origin, since, encoder } = found;
  const megabytes = blobs.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6;
  return fields({
    run: found.run,
    pipeline: found.pipeline,
    log: found.log,
    topics: Object.values(topics).join(', '),
    step: found.step,
    commit: `${found.generation}, ${found.committed}`,
    samples: `${found.samples}, in epoch ${found.epoch}`,
    'reads next': next.map(({ topic, partition, offset }) => `${topic}/${partition}/${offset}`).join(', '),
    queue: `${queue.rows} of ${queue.capacity} rows of ${queue.dim}, digest ${queue.digest}`,
    blobs: `${blobs.map(({ name }) => name).join(', ')} (${megabytes.toFixed(1)} MB) in ${found.store}`,
    kept: `the weights of steps ${kept.map(({ step }) => step).join(', ') || 'none'}`,
    journal: `digest ${found.journal_digest}`,
    engine: found.engine,
    seed: found.seed,
    ...(encoder && {
      latents: `of the encoder ${encoder.sha256 ?? 'not named'}, for the decoder ${encoder.decoder ?? 'not named'}`,
    }),
    ...(origin && { origin: `${origin.carried.join(', ')} of ${origin.run}@${origin.step}` }),
    ...(since !== null && { since }),
  });
}
