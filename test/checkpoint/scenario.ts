import { expect } from 'vitest';
import type { CommitRequest, Committer, CommitterSettings } from '../../src/checkpoint/commit.ts';
import { commitsBackwards } from '../../src/checkpoint/commit-history.ts';
import { keysDigest, ZERO_DIGEST } from '../../src/checkpoint/digest.ts';
import { journalEntry } from '../../src/checkpoint/journal.ts';
import type { RestoredState } from '../../src/checkpoint/restore.ts';
import { runTopics } from '../../src/checkpoint/run-id.ts';
import type { StateBlobs } from '../../src/checkpoint/state-blobs.ts';
import type { DeadLetter, Negatives, StepJournal } from '../../src/codec/records.ts';
import { decode, encode } from '../../src/codec/single-object.ts';
import type { Log } from '../../src/log/log.ts';
import {
  appendRows,
  emptyHistory,
  negativesOf,
  type QueueHistory,
  queueDigest,
} from '../../src/memory-bank/changelog.ts';
import type { StreamPosition } from '../../src/operators/position.ts';

/**
 * A trainer without a model: all that it commits is a function of the step (and of `lineage`, which stands for what a
 * second training of the same steps may do differently), so a recovered state can be compared whole with the one that
 * was committed.
 */
export interface Scenario {
  readonly capacity: number;
  readonly dim: number;
  readonly batch: number;
  readonly lineage: number;
}

export const SCENARIO: Scenario = { capacity: 13, dim: 3, batch: 5, lineage: 0 };
export const CONFIG = { name: 'scenario', model: { depth: 4 }, commit: { everySteps: 3 } };

export const settings = (log: Log, store: CommitterSettings['store'], more: Partial<CommitterSettings> = {}) =>
  ({ log, store, run: 'scenario', seed: 1, config: CONFIG, engine: 'none', ...more }) satisfies CommitterSettings;

/** Numbers that look random and are a function of their place. */
function numbers(length: number, ...place: number[]): Float32Array {
  const phase = place.reduce((sum, n, i) => sum + n * (i + 1) * 12.9898, 0.5);
  return Float32Array.from({ length }, (_, i) => Math.sin(phase + i) * 43758.5453 * 1e-4);
}

export function stateAt(s: Scenario, step: number): StateBlobs {
  const vector = (name: number, length: number) =>
    ({ dtype: 'float32', shape: [length], data: numbers(length, name, step, s.lineage) }) as const;
  return {
    model: { params: vector(1, 1000), slow: vector(2, 1000) },
    optimizer: { 'adam.m': vector(4, 1000), 'adam.v': vector(5, 1000) },
    frozen: { constant: { dtype: 'int32', shape: [2, 2], data: Int32Array.of(1, 2, 3, 4) } },
  };
}

export function negativesAt(s: Scenario, step: number): Negatives {
  const labels = Int32Array.from({ length: s.batch }, (_, i) => (step + i) % 10);
  return negativesOf(step, numbers(s.batch * s.dim, 6, step, s.lineage), labels);
}

export function positionAt(s: Scenario, step: number): StreamPosition {
  return {
    epoch: 0,
    samples: step * s.batch,
    windows: step,
    next: [0, 1].map((partition) => ({ topic: 'images', partition, offset: step * 2 + 2 })),
    turn: 0,
    encoder: null,
    seen: [{ topic: 'images', partition: 1, offset: step * 2 + 1, checksum: step }],
    bounds: null,
    window: { consumed: 1, records: [{ topic: 'images', partition: 1, offsets: [step * 2, step * 2 + 1] }] },
    archive: null,
  };
}

export function journalOf(s: Scenario, previous: Uint8Array, step: number): StepJournal {
  const { keys } = negativesAt(s, step);
  return journalEntry(previous, {
    step,
    samples: Array.from({ length: s.batch }, (_, index) => ({ topic: 'images', partition: 0, offset: step, index })),
    terms: { total: step + s.lineage / 8, flow: 0.5 },
    keysDigest: keysDigest(new Float32Array(keys.slice().buffer)),
    batchDigest: null,
    archived: [],
  });
}

const deadLetterAt = (step: number): DeadLetter => ({
  topic: 'images',
  partition: 0,
  offset: step,
  index: null,
  reason: 'undecodable',
  message: `bad at step ${step}`,
  time: 0,
  value: null,
});

/** What a trainer holds between commits. */
export interface Progress {
  step: number;
  journalDigest: Uint8Array;
  queue: QueueHistory | null;
}

export function freshProgress(s: Scenario): Progress {
  return { step: 0, journalDigest: ZERO_DIGEST, queue: s.capacity === 0 ? null : emptyHistory(s.capacity, s.dim) };
}

export function progressFrom(s: Scenario, restored: RestoredState | null): Progress {
  if (restored === null) return freshProgress(s);
  return { step: restored.commit.step, journalDigest: restored.journalDigest, queue: restored.queue };
}

/** Trains some steps and asks for their commit. */
export function advance(s: Scenario, progress: Progress, steps: number): CommitRequest {
  const journal: StepJournal[] = [];
  const negatives: Negatives[] = [];
  const deadLetters: Uint8Array[] = [];
  for (let i = 0; i < steps; i++) {
    const step = ++progress.step;
    const entry = journalOf(s, progress.journalDigest, step);
    journal.push(entry);
    progress.journalDigest = entry.digest;
    deadLetters.push(encode('dead-letter', deadLetterAt(step)));
    if (progress.queue !== null) {
      const rows = negativesAt(s, step);
      negatives.push(rows);
      appendRows(progress.queue, rows);
    }
  }
  return {
    step: progress.step,
    state: stateAt(s, progress.step),
    position: positionAt(s, progress.step),
    journal,
    negatives,
    deadLetters,
    queue:
      progress.queue === null
        ? null
        : {
            capacity: progress.queue.capacity,
            dim: progress.queue.dim,
            count: progress.queue.count,
            digest: queueDigest(progress.queue),
          },
  };
}

export const trainAndCommit = (s: Scenario, committer: Committer, progress: Progress, steps: number) =>
  committer.commit(advance(s, progress, steps));

/** The state is, bit for bit, the one that training `scenarioOf(step)` up to its step makes, and no other. */
export function expectWhole(restored: RestoredState, scenarioOf: Scenario | ((step: number) => Scenario)): void {
  const of = typeof scenarioOf === 'function' ? scenarioOf : () => scenarioOf;
  const { step } = restored.commit;
  const s = of(step);
  const progress = freshProgress(s);
  for (let i = 1; i <= step; i++) advance(of(i), progress, 1);
  expect(restored.state).toEqual(stateAt(s, step));
  expect(restored.position).toEqual(positionAt(s, step));
  expect(Buffer.from(restored.journalDigest)).toEqual(Buffer.from(progress.journalDigest));
  expect(queueBytes(restored.queue)).toEqual(queueBytes(progress.queue));
}

/** As text, for a quick comparison of every slot of the ring, valid or not. */
function queueBytes(queue: QueueHistory | null) {
  if (queue === null) return null;
  const { capacity, dim, count, rows, labels, steps } = queue;
  const columns = [rows, labels, steps].map((column) => Buffer.from(column.buffer).toString('base64'));
  return { capacity, dim, count, columns };
}

async function valuesOf(log: Log, topic: string): Promise<{ offset: number; value: Uint8Array }[]> {
  const { earliest, end } = await log.offsets(topic, 0);
  const values: { offset: number; value: Uint8Array }[] = [];
  for await (const { offset, value } of log.read(topic, { from: new Map([[0, earliest]]), to: new Map([[0, end]]) }))
    values.push({ offset, value: value! });
  return values;
}

/**
 * The log of a run without fallbacks holds each step up to the last commit exactly once, in order: in the journal, the
 * negatives and the dead letters alike; and its commits are gapless, each naming the ranges that are its own.
 */
export async function expectLogExact(log: Log, run = 'scenario'): Promise<void> {
  const topics = runTopics(run);
  const commits = [];
  for await (const { commit } of commitsBackwards(log, topics.commits)) commits.unshift(commit);
  expect(commits.map(({ generation }) => generation)).toEqual(commits.map((_, i) => i + 1));
  const last = commits.at(-1)?.step ?? 0;
  const steps = Array.from({ length: last }, (_, i) => i + 1);
  const journal = (await valuesOf(log, topics.journal)).map((r) => ({
    ...r,
    step: decode('step-journal', r.value).step,
  }));
  const negatives = (await valuesOf(log, topics.negatives)).map((r) => ({
    ...r,
    step: decode('negatives', r.value).step,
  }));
  expect(journal.map(({ step }) => step)).toEqual(steps);
  if ((commits[0]?.negatives.capacity ?? 0) > 0) expect(negatives.map(({ step }) => step)).toEqual(steps);
  expect((await valuesOf(log, topics.deadLetters)).map((r) => decode('dead-letter', r.value).offset)).toEqual(steps);
  let before = 0;
  for (const commit of commits) {
    const own = steps.slice(before, commit.step);
    const within = (begin: number, end: number) => (r: { offset: number }) => r.offset >= begin && r.offset < end;
    expect(journal.filter(within(commit.journalBegin, commit.journalEnd)).map(({ step }) => step)).toEqual(own);
    const { begin, end, capacity } = commit.negatives;
    if (capacity > 0) expect(negatives.filter(within(begin, end)).map(({ step }) => step)).toEqual(own);
    before = commit.step;
  }
}
