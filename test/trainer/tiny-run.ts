import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { commitsBackwards } from '../../src/checkpoint/commit-history.ts';
import { ZERO_DIGEST } from '../../src/checkpoint/digest.ts';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { journalBreak, samplesOf } from '../../src/checkpoint/journal.ts';
import { readState } from '../../src/checkpoint/restore.ts';
import { openRunFolder } from '../../src/checkpoint/run-folder.ts';
import { runTopics } from '../../src/checkpoint/run-id.ts';
import type { Commit, DeadLetter, Records, StepJournal } from '../../src/codec/records.ts';
import { decode, encode } from '../../src/codec/single-object.ts';
import { digits } from '../../src/ingest/digits.ts';
import { ingest } from '../../src/ingest/ingest.ts';
import type { ImageSource } from '../../src/ingest/source.ts';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import { type QueueHistory, queueDigest } from '../../src/memory-bank/changelog.ts';
import { definePipeline, type Pipeline, type PipelineInput } from '../../src/trainer/pipeline.ts';

/** A batch of 7: the epoch's 200 images are 3 short of a whole number of batches, so that batches go over its end. */
export const IMAGES = 200;
export const BATCH = 7;
export const TOPIC = 'images';

/**
 * A pipeline whose step takes milliseconds, and yet updates its state in place (src/engine/native/graph-backend.ts says from which size
 * on). The queue's 100 rows are no whole number of batches either.
 */
export const TINY = {
  name: 'tiny',
  log: 'file:log',
  source: { topic: TOPIC, follow: false },
  operators: { shuffle: 64, flip: true, batch: BATCH },
  model: { input: [28, 28, 1], patch: 14, width: 12, depth: 2, heads: 2, classes: 10, timeScale: 10 },
  losses: { repulsion: { lambda: 0.05, queue: 100, ramp: 20, projection: { dim: 8 } } },
  optimizer: { learningRate: 1e-3, warmup: 10, clip: 1, ema: 0.9 },
  steps: 120,
  commit: { everySteps: 5 },
  sampling: { perLabel: 0, steps: 5 },
  metrics: { port: 0 },
} as const satisfies PipelineInput;

type Settings = { readonly [K in keyof Pipeline]?: Partial<Pipeline[K]> };

/** The tiny pipeline with other settings, section by section. */
export function tinyPipeline(over: Settings = {}): Pipeline {
  const tiny = definePipeline(TINY) as unknown as Record<string, unknown>;
  for (const [name, value] of Object.entries(over)) {
    const section = tiny[name];
    const merges = typeof section === 'object' && section !== null && typeof value === 'object' && value !== null;
    tiny[name] = merges ? { ...section, ...value } : value;
  }
  return tiny as unknown as Pipeline;
}

/** Writes the tiny pipeline as a module, as a user writes one; its path. */
export async function writeTinyModule(folder: string, over: object = {}): Promise<string> {
  const path = join(folder, 'tiny.ts');
  const settings = JSON.stringify({ ...TINY, ...over }, null, 2);
  await writeFile(path, `import { definePipeline } from 'repulsor';\n\nexport default definePipeline(${settings});\n`);
  return path;
}

/** The first `count` of the built-in digits. */
export function someDigits(count: number): ImageSource {
  const all = digits();
  return {
    ...all,
    total: count,
    async *images() {
      let left = count;
      for await (const image of all.images()) {
        if (left-- === 0) return;
        yield image;
      }
    },
  };
}

/** A record of images, as a writer of any language would make it. */
export function imageRecord(over: Partial<Records['image-batch']> = {}): Uint8Array {
  const batch = { shape: [28, 28, 1], encoding: 'RAW_U8', labels: [3], eventTime: 0, source: 'test' } as const;
  return encode('image-batch', {
    ...batch,
    shape: [28, 28, 1],
    labels: [3],
    images: [new Uint8Array(784)],
    encoder: null,
    ...over,
  });
}

/** Makes the topic: 200 digits in two partitions, in records of 13. */
export async function fillTopic(log: Log, topic: string = TOPIC, images = IMAGES): Promise<void> {
  await log.createTopic(topic, { partitions: 2 });
  await ingest(log, topic, someDigits(images), { batch: 13, time: 1_700_000_000_000 });
}

/** Two more records: one that does not decode, and one with a good image and one of a class that is none. */
export async function addBadRecords(log: Log, topic: string = TOPIC): Promise<void> {
  await log.append(topic, [
    { partition: 1, value: new Uint8Array([0xff, 1, 2, 3]) },
    { partition: 0, value: imageRecord({ images: [new Uint8Array(784), new Uint8Array(784)], labels: [3, 10] }) },
  ]);
}

/** All that a run has committed, read as anyone may read it. */
export interface CommittedRun {
  readonly steps: readonly StepJournal[];
  /** Oldest first. */
  readonly commits: readonly Commit[];
  readonly newest: Commit;
  /** Rebuilt from the negatives topic. */
  readonly queue: QueueHistory | null;
  readonly deadLetters: readonly DeadLetter[];
}

/** Reads the run in `folder`, and checks that what the log holds of it is whole: nothing twice, nothing left out. */
export async function readRun(folder: string, logUrl: string): Promise<CommittedRun> {
  const { run, blobs } = await openRunFolder(folder);
  const log = await openLog(logUrl);
  try {
    return await readCommitted(log, run, blobs);
  } finally {
    await log.close();
  }
}

export async function readCommitted(log: Log, run: string, blobs: string): Promise<CommittedRun> {
  const topics = runTopics(run);
  const steps = await records(log, topics.journal, 'step-journal');
  expect(journalBreak(0, ZERO_DIGEST, steps)).toBe(null);
  const commits: Commit[] = [];
  for await (const { commit } of commitsBackwards(log, topics.commits)) commits.unshift(commit);
  const newest = commits.at(-1)!;
  expect(newest.step).toBe(steps.length);
  const state = await readState({ log, store: await openFolderStore(blobs), run });
  return {
    steps,
    commits,
    newest,
    queue: state.queue,
    deadLetters: await records(log, topics.deadLetters, 'dead-letter'),
  };
}

async function records<K extends 'step-journal' | 'dead-letter'>(
  log: Log,
  topic: string,
  kind: K,
): Promise<Records[K][]> {
  const { earliest, end } = await log.offsets(topic, 0);
  const found: Records[K][] = [];
  const range = { from: new Map([[0, earliest]]), to: new Map([[0, end]]) };
  for await (const { value } of log.read(topic, range)) found.push(decode(kind, value!));
  return found;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Float32 values as their bits. */
const bits = (values: Record<string, number>) =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, hex(new Uint8Array(Float32Array.of(value).buffer))]),
  );

/** Two runs have done the same, bit for bit: every step, the queue, the weights, and the place in the topic. */
export function expectSame(actual: CommittedRun, reference: CommittedRun): void {
  const outline = ({ step, terms, digest }: StepJournal) => ({ step, terms: bits(terms), digest: hex(digest) });
  expect(actual.steps.map(outline)).toEqual(reference.steps.map(outline));
  expect(actual.steps.map(samplesOf)).toEqual(reference.steps.map(samplesOf));
  expect(actual.queue).toEqual(reference.queue);
  expect(hex(queueDigest(actual.queue!))).toBe(hex(reference.newest.negatives.digest));
  expect(actual.newest.blobs).toEqual(reference.newest.blobs);
  expect(actual.newest.position).toEqual(reference.newest.position);
}

/** Over the topic with the bad records: all that a crash may break. One good image is in the record that is half bad. */
export function expectExact(actual: CommittedRun, reference: CommittedRun): void {
  expectSame(actual, reference);
  expectEachOnceAnEpoch(actual, IMAGES + 1);
  expect(actual.newest.position.epoch).toBeGreaterThanOrEqual(3);
  const letters = actual.deadLetters.map(({ partition, offset, index, reason }) => [partition, offset, index, reason]);
  expect(letters.sort()).toEqual([
    [0, 8, 1, 'labels'],
    [1, 8, null, 'undecodable'],
  ]);
}

/** Every image was applied exactly once in every epoch that is over, and at most once in the last. */
export function expectEachOnceAnEpoch({ steps }: CommittedRun, images = IMAGES): void {
  const ids = steps.flatMap(samplesOf).map(({ partition, offset, index }) => `${partition}/${offset}/${index}`);
  const every = [...new Set(ids)].sort();
  expect(every).toHaveLength(images);
  for (let from = 0; from < ids.length; from += images) {
    const epoch = ids.slice(from, from + images).sort();
    if (epoch.length === images) expect(epoch).toEqual(every);
    else expect(new Set(epoch).size).toBe(epoch.length);
  }
}
