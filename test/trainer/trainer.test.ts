import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { BlobStore } from '../../src/checkpoint/store.ts';
import type { Engine, Program } from '../../src/engine/engine.ts';
import type { RepulsorError } from '../../src/errors.ts';
import type { Log } from '../../src/log/log.ts';
import { queueDigest } from '../../src/memory-bank/changelog.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import type { CommitReport, StepReport } from '../../src/trainer/report.ts';
import type { TrainObserver, TrainSettings } from '../../src/trainer/trainer.ts';
import { openTinyGround, type TinyGround } from './tiny-ground.ts';
import { addBadRecords, expectEachOnceAnEpoch, fillTopic, imageRecord, tinyPipeline } from './tiny-run.ts';

let ground: TinyGround;
let engine: Engine;
let log: Log;
let names = 0;
let run: string;

beforeAll(async () => {
  ground = await openTinyGround();
  ({ engine, log } = ground);
});
beforeEach(() => {
  run = `run-${names++}`;
});
afterAll(() => ground.close());

const blobs = () => ground.blobs(run);
const committed = () => ground.committed(run);

/** What an observer was told, in its order. */
function listening(more: TrainObserver = {}) {
  const told = {
    starts: [] as (number | null)[],
    steps: [] as StepReport[],
    commits: [] as CommitReport[],
    failures: [] as RepulsorError[],
    records: { decoded: 0, skipped: 0, dead_letter: 0 },
    deadLetters: [] as string[],
    warnings: [] as string[],
  };
  const observer: TrainObserver = {
    ...more,
    onStart: (commit) => void told.starts.push(commit?.step ?? null),
    onStep: (report) => {
      told.steps.push(report);
      more.onStep?.(report);
    },
    onCommit: (report) => {
      told.commits.push(report);
      more.onCommit?.(report);
    },
    onCommitFailure: (error) => {
      told.failures.push(error);
      more.onCommitFailure?.(error);
    },
    onRecords: (outcome, count) => {
      told.records[outcome] += count;
    },
    onDeadLetter: (reason) => void told.deadLetters.push(reason),
    onWarning: (message) => void told.warnings.push(message),
  };
  return { told, observer };
}

const start = (pipeline: Pipeline, more: Partial<TrainSettings> = {}) => ground.train(run, pipeline, more);

/** The engine, and the program that it compiles next. */
function watched(): { engine: Engine; program: () => Program } {
  let compiled: Program | null = null;
  const compile: Engine['compile'] = async (definition) => {
    compiled = await engine.compile(definition);
    return compiled;
  };
  return { engine: { ...engine, compile }, program: () => compiled! };
}

describe('steps', () => {
  test('are told one by one, each with its terms, and the end is committed', async () => {
    const { told, observer } = listening();
    const result = await start(tinyPipeline({ steps: 23 }), { observer });
    expect(result).toMatchObject({ ended: 'steps', step: 23, stepsHere: 23, samplesHere: 23 * 7 });
    expect(result.report).toEqual(told.steps.at(-1));
    expect(result.samplesPerSecond).toBeGreaterThan(0);
    expect(told.starts).toEqual([null]);
    expect(told.steps.map(({ step }) => step)).toEqual(Array.from({ length: 23 }, (_, i) => i + 1));
    for (const { terms, samples, repulsion, gradientNorm, learningRate } of told.steps) {
      expect(terms['total']).toBeCloseTo(terms['flow']! + 0.05 * terms['repulsion']!, 5);
      expect(samples).toBe(7);
      expect(gradientNorm).toBeGreaterThan(0);
      expect(learningRate).toBeLessThanOrEqual(1e-3);
      expect(repulsion).toMatchObject({ queueCapacity: 100 });
    }
    expect(told.steps.map(({ repulsion }) => repulsion!.queueFill)).toEqual(
      told.steps.map(({ step }) => Math.min(step * 7, 100)),
    );
    expect(told.commits.at(-1)).toMatchObject({ step: 23, samples: 161 });
    expect(told.warnings).toEqual([]);
    const { steps, newest } = await committed();
    expect(steps.map(({ terms }) => terms)).toEqual(told.steps.map(({ terms }) => terms));
    expect(newest).toMatchObject({ step: 23, engine: expect.stringContaining('TensorFlow') });
  });

  test('go on after the last commit; a run whose steps are done does nothing more', async () => {
    const pipeline = tinyPipeline({ steps: 12 });
    await start(pipeline);
    const { told, observer } = listening();
    const result = await start({ ...pipeline, steps: 30 }, { observer });
    expect(result).toMatchObject({ step: 30, stepsHere: 18 });
    expect(told.starts).toEqual([12]);
    expect(told.steps[0]).toMatchObject({ step: 13 });
    const again = await start({ ...pipeline, steps: 30 });
    expect(again).toMatchObject({ ended: 'steps', step: 30, stepsHere: 0, report: null, samplesPerSecond: null });
    expect(again.ema).toEqual(result.ema);
    expectEachOnceAnEpoch(await committed());
  });

  test('hold neither tensors nor memory: none grows from the 100th to the 500th', async () => {
    const tensors: number[] = [];
    const memory: number[] = [];
    const onStep = ({ step }: StepReport) => {
      tensors.push(tf.memory().numTensors);
      if (step % 100 === 0) memory.push(process.memoryUsage.rss() / 2 ** 20);
    };
    // A batch of 64 has 200 kB: a batch left behind by each step would be 80 MB in the end.
    const pipeline = tinyPipeline({ steps: 500, operators: { batch: 64 }, commit: { everySteps: 25 } });
    await start(pipeline, { observer: { onStep } });
    expect(new Set(tensors).size).toBe(1);
    expect(memory.at(-1)! - memory[0]!, `MiB of RSS: ${memory.map(Math.round)}`).toBeLessThan(40);
  });

  test('leave the device with the queue that the host digests and the topic rebuilds', async () => {
    const { engine: watching, program } = watched();
    // 70 steps of 7 rows go around the ring of 100 almost five times.
    let device: ReturnType<Program['readState']> | null = null;
    const onStep = ({ step }: StepReport) => {
      if (step === 70) device = program().readState(['queue.rows', 'queue.labels', 'queue.steps', 'queue.pointer']);
    };
    await start(tinyPipeline({ steps: 70 }), { engine: watching, observer: { onStep } });
    const ring = await device!;
    const { queue, newest } = await committed();
    expect(queue!.count).toBe(490);
    expect(ring['queue.rows']!.data).toEqual(queue!.rows);
    expect(ring['queue.labels']!.data).toEqual(queue!.labels);
    expect(ring['queue.steps']!.data).toEqual(queue!.steps);
    expect(Buffer.from(queueDigest(queue!)).toString('hex')).toBe(Buffer.from(newest.negatives.digest).toString('hex'));
  });
});

describe('commits', () => {
  /** A folder whose disk takes its time. */
  async function slowStore(milliseconds: number): Promise<BlobStore> {
    const store = await ground.store(run);
    return {
      ...store,
      put: async (...args) => {
        await sleep(milliseconds);
        return store.put(...args);
      },
    };
  }

  test('are written while steps go on', async () => {
    const { told, observer } = listening();
    const stepsAtCommit: number[] = [];
    const onCommit = () => void stepsAtCommit.push(told.steps.length);
    const both: TrainObserver = { ...observer, onCommit: (report) => [observer.onCommit!(report), onCommit()] };
    await start(tinyPipeline({ steps: 150 }), { observer: both, store: await slowStore(150) });
    const first = told.commits[0]!;
    expect(first.step).toBe(5);
    expect(first.seconds).toBeGreaterThan(0.6); // four blobs
    expect(first.stallSeconds).toBeLessThan(first.seconds / 2);
    expect(stepsAtCommit[0]).toBeGreaterThan(first.step + 5);
    expect(told.commits.at(-1)!.step).toBe(150);
  });

  test('come every so many steps', async () => {
    const { told, observer } = listening();
    await start(tinyPipeline({ steps: 40, commit: { everySteps: 9 } }), { observer });
    const steps = told.commits.map(({ step }) => step);
    expect(steps[0]).toBe(9);
    expect(steps.at(-1)).toBe(40);
    for (const [i, step] of steps.slice(1, -1).entries()) expect(step - steps[i]!).toBeGreaterThanOrEqual(9);
    expect(told.commits.map(({ generation }) => generation)).toEqual(steps.map((_, i) => i + 1));
    expect(told.commits.map(({ samples }) => samples)).toEqual(steps.map((step) => step * 7));
  });

  test('come every so many seconds, in a topic that has fallen silent too', async () => {
    await log.createTopic('quiet', { partitions: 2 });
    for (let i = 0; i < 12; i++) {
      const value = imageRecord({ images: Array.from({ length: 7 }, () => new Uint8Array(784).fill(i)), labels: null });
      await log.append('quiet', [{ partition: i % 2, value }]);
    }
    const { told, observer } = listening();
    const stop = new AbortController();
    const commit = { everySteps: 1_000_000, everySeconds: 0.5 };
    const pipeline = tinyPipeline({
      source: { topic: 'quiet', follow: true },
      operators: { shuffle: 7 },
      steps: null,
      commit,
    });
    const training = start(pipeline, { observer, signal: stop.signal });
    await expect.poll(() => told.commits.at(-1)?.step, { timeout: 20_000 }).toBe(12);
    const { length } = told.commits;
    await sleep(1_200);
    expect(told.commits).toHaveLength(length); // nothing came, so there is nothing to commit
    // The end of the wait: an abort is not held up by a topic that says nothing.
    const asked = performance.now();
    stop.abort();
    expect(await training).toMatchObject({ ended: 'interrupted', step: 12 });
    expect(performance.now() - asked).toBeLessThan(1_000);
  });

  test('that fail are tried again with what came since, and nothing is lost', async () => {
    // The disk goes away after the first commit, and comes back after the second failure: the folder itself is moved.
    const away = join(ground.folder, 'away');
    const { told, observer } = listening({
      onCommit: () => void (told.commits.length === 1 && renameSync(blobs(), away)),
      onCommitFailure: () => void (told.failures.length === 2 && renameSync(away, blobs())),
    });
    await start(tinyPipeline({ steps: 120, commit: { everySteps: 10 } }), { observer });
    expect(told.failures.map(({ code }) => code)).toEqual(['STORE_FAILED', 'STORE_FAILED']);
    // Each attempt had its turn when a commit would be due.
    expect(told.commits[1]!.step - told.commits[0]!.step).toBeGreaterThanOrEqual(30);
    expect(told.commits.at(-1)).toMatchObject({ step: 120 });
    const { steps } = await committed();
    expect(steps.map(({ terms }) => terms)).toEqual(told.steps.map(({ terms }) => terms));
  });

  test('that fail three times in a row end the run; the last one stands', async () => {
    const away = join(ground.folder, 'away for good');
    const { told, observer } = listening({ onCommit: () => renameSync(blobs(), away) });
    await expect(start(tinyPipeline({ steps: null }), { observer })).rejects.toMatchObject({
      code: 'STORE_FAILED',
      exitStatus: 1,
    });
    expect(told.failures).toHaveLength(3);
    expect(told.commits).toHaveLength(1);
    renameSync(away, blobs());
    expect((await committed()).newest.step).toBe(told.commits[0]!.step);
  });

  test('that fail at the very end are tried again after a while', async () => {
    const away = join(ground.folder, 'away at the end');
    const { told, observer } = listening({
      onStep: ({ step }) => void (step === 8 && renameSync(blobs(), away)),
      onCommitFailure: () => void (told.failures.length === 2 && renameSync(away, blobs())),
    });
    const begun = performance.now();
    expect(await start(tinyPipeline({ steps: 8, commit: { everySteps: 100 } }), { observer })).toMatchObject({
      step: 8,
    });
    expect(performance.now() - begun).toBeGreaterThan(4_000);
    expect((await committed()).newest.step).toBe(8);
  });

  test('keep the weights of the newest few, and of the oldest that can be replayed from, whole', async () => {
    await start(tinyPipeline({ steps: 60, commit: { keep: { last: 2, every: null } } }));
    const { commits } = await committed();
    const there = new Set((await (await ground.store(run)).list()).map(({ sha256 }) => sha256));
    const named = [commits[0]!, ...commits.slice(-2)].flatMap((commit) => commit.blobs.map(({ sha256 }) => sha256));
    expect([...there].sort()).toEqual([...new Set(named)].sort());
  });

  test('never hold the password of the log', async () => {
    await start(tinyPipeline({ steps: 2, log: 'kafka://someone:secret@localhost:1' } as never));
    const { newest } = await committed();
    expect(newest.config).not.toContain('secret');
    expect(JSON.parse(newest.config)).toMatchObject({ log: log.url });
  });
});

describe('a run that diverges', () => {
  test('ends with the last commit as it was, at the same step each time', async () => {
    // Latents of ordinary size, and at the end one so large that its square is no finite float32.
    const topic = 'poisoned';
    await log.createTopic(topic);
    for (let i = 0; i < 12; i++) {
      const values = new Float32Array(784).fill(i === 11 ? 1e30 : Math.sin(i));
      const images = Array.from({ length: 7 }, () => new Uint8Array(values.buffer));
      await log.append(topic, [{ value: imageRecord({ encoding: 'LATENT_F32', images, labels: null }) }]);
    }
    const operators = { shuffle: 1, latentScale: 1, flip: false };
    const pipeline = tinyPipeline({ source: { topic, epochs: 1 }, operators, commit: { everySteps: 1 } });
    const { told, observer } = listening();
    const failure = { code: 'DIVERGED', exitStatus: 1, message: expect.stringMatching(/^step 12 .* total Infinity/) };
    await expect(start(pipeline, { observer })).rejects.toMatchObject(failure);
    const { newest, steps } = await committed();
    expect(newest.step).toBe(told.commits.at(-1)!.step);
    expect(newest.step).toBeLessThan(12);
    expect(steps.every(({ terms }) => Number.isFinite(terms['total']))).toBe(true);
    await expect(start(pipeline, { observer })).rejects.toMatchObject(failure);
    expect(told.warnings).toEqual([]);
    // Its hint can be followed: the learning rate may change, and that is said.
    const { step } = (await committed()).newest;
    const slower = { ...pipeline, optimizer: { ...pipeline.optimizer, learningRate: 1e-5 } };
    await expect(start(slower, { observer })).rejects.toMatchObject(failure);
    expect(told.warnings).toEqual([`from step ${step} on, optimizer.learningRate is 0.00001; it was 0.001`]);
  });

  test('by its weights, with a loss that is still finite, commits none of them', async () => {
    const { told, observer } = listening();
    const over = { optimizer: { learningRate: 1e38, warmup: 0 }, commit: { everySteps: 1 } };
    await expect(start(tinyPipeline(over), { observer })).rejects.toMatchObject({
      code: 'DIVERGED',
      message: expect.stringMatching(/^step 1 .* total [\d.]+, .* parameter norm (Infinity|NaN)$/),
    });
    expect(told.steps).toEqual([]);
    expect(told.commits).toEqual([]);
  });
});

describe('bad records', () => {
  test('are committed once each, over epochs and restarts, and counted as they are met', async () => {
    await fillTopic(log, 'half-bad');
    await addBadRecords(log, 'half-bad');
    const pipeline = tinyPipeline({ source: { topic: 'half-bad' } });
    const { told, observer } = listening();
    for (const steps of [9, 31, 70]) await start({ ...pipeline, steps }, { observer });
    const { deadLetters, newest } = await committed();
    expect(newest.position.epoch).toBeGreaterThanOrEqual(2);
    expect(deadLetters.map(({ partition, offset, index }) => [partition, offset, index]).sort()).toEqual([
      [0, 8, 1],
      [1, 8, null],
    ]);
    const undecodable = deadLetters.find(({ index }) => index === null)!;
    expect(Buffer.from(undecodable.value!)).toEqual(Buffer.from([0xff, 1, 2, 3]));
    expect(told.deadLetters.length).toBeGreaterThanOrEqual(4);
    expect(new Set(told.deadLetters)).toEqual(new Set(['labels', 'undecodable']));
    expect(told.records['dead_letter']).toBeGreaterThanOrEqual(2);
    expect(told.records.decoded).toBeGreaterThan(32);
  });

  test('at the end of a topic are committed too, once, though no step comes after them', async () => {
    const topic = 'bad-end';
    await log.createTopic(topic);
    const good = imageRecord({ images: Array.from({ length: 7 }, () => new Uint8Array(784)), labels: null });
    const bad = new Uint8Array([1]);
    await log.append(
      topic,
      [good, good, bad].map((value) => ({ value })),
    );
    const pipeline = tinyPipeline({ source: { topic, epochs: 1 }, operators: { shuffle: 7 } });
    for (const stepsHere of [2, 0]) {
      expect(await start(pipeline)).toMatchObject({ ended: 'topic', step: 2, stepsHere });
      const { deadLetters, newest } = await committed();
      expect(deadLetters.map(({ offset }) => offset)).toEqual([2]);
      expect(newest.position).toMatchObject({ epoch: 1, next: [{ offset: 3 }], window: null });
    }
  });

  test('end the run when they are too many', async () => {
    const topic = 'too-bad';
    await log.createTopic(topic);
    const good = imageRecord({ images: Array.from({ length: 7 }, () => new Uint8Array(784)), labels: null });
    await log.append(
      topic,
      Array.from({ length: 40 }, (_, i) => ({ value: i % 2 ? new Uint8Array([i]) : good })),
    );
    const operators = { shuffle: 7, badRecords: 0.01 }; // 10 of 1000
    await expect(start(tinyPipeline({ source: { topic, epochs: 1 }, operators }))).rejects.toMatchObject({
      code: 'TOO_MANY_BAD_RECORDS',
      hint: expect.stringContaining('operators.badRecords'),
    });
  });

  test('of a topic that gives not one batch are told with the error', async () => {
    const topic = 'too-few';
    await log.createTopic(topic);
    await log.append(topic, [{ value: imageRecord() }, { value: new Uint8Array([1]) }]);
    await expect(start(tinyPipeline({ source: { topic, epochs: 1 } }))).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
      message: 'the topic too-few gave 1 samples in all, too few for one batch of 7; 1 records could not be used',
    });
  });
});

describe('a run goes on only with settings that fit its state', () => {
  test.each([
    ['model.width', { model: { width: 16 } }, 'model.width was 12, is 16'],
    ['the queue', { losses: { repulsion: null } }, 'losses.repulsion.queue was 100, is absent'],
    ['the seed', { seed: 1 }, 'seed was 0, is 1'],
    ['the topic', { source: { topic: 'other' } }, 'source.topic was "images", is "other"'],
  ])('%s is refused, named by its path', async (_name, over, message) => {
    await start(tinyPipeline({ steps: 3 }));
    const before = await committed();
    await expect(start(tinyPipeline({ steps: 6, ...over } as never))).rejects.toMatchObject({
      code: 'STATE_MISMATCH',
      exitStatus: 2,
      message: expect.stringContaining(message),
    });
    expect((await committed()).newest).toEqual(before.newest);
  });

  test('how often it commits, reads ahead and draws is its own business', async () => {
    const { told, observer } = listening();
    await start(tinyPipeline({ steps: 3 }));
    const over = { commit: { everySteps: 2 }, operators: { prefetch: 1 }, sampling: { steps: 3 } };
    expect(await start(tinyPipeline({ steps: 6, ...over }), { observer })).toMatchObject({ step: 6 });
    expect(told.warnings).toEqual([]);
  });
});

test('a second trainer of a run ends the first at its next commit, which changes nothing', async () => {
  const stop = new AbortController();
  let second: ReturnType<typeof start> | null = null;
  const after = listening({ onCommit: () => void (after.told.commits.length === 3 && stop.abort()) });
  const before = listening({
    onCommit() {
      if (before.told.commits.length !== 2) return;
      second = start(tinyPipeline({ steps: null }), { observer: after.observer, signal: stop.signal });
    },
  });
  await expect(start(tinyPipeline({ steps: null }), { observer: before.observer })).rejects.toMatchObject({
    code: 'FENCED',
    exitStatus: 3,
  });
  const { step } = await second!;
  const whole = await committed();
  expect(whole.steps).toHaveLength(step);
  expect(whole.commits.map((commit) => commit.step)).toEqual([
    ...before.told.commits.map((commit) => commit.step),
    ...after.told.commits.map((commit) => commit.step),
  ]);
  const [first, last] = [whole.commits.at(0)!.epoch, whole.commits.at(-1)!.epoch];
  expect(last).toBeGreaterThan(first);
  expectEachOnceAnEpoch(whole);
});

test('how far the topic is ahead is told, by partition', async () => {
  const lag: [number, number, number | null][] = [];
  const stop = new AbortController();
  await fillTopic(log, 'growing');
  const onLag: TrainObserver['onLag'] = (topic, partition, records, seconds) => {
    expect(topic).toBe('growing');
    lag.push([partition, records, seconds]);
    if (lag.length === 2) stop.abort();
  };
  const source = { topic: 'growing', follow: true };
  await start(tinyPipeline({ source, steps: null }), { observer: { onLag }, signal: stop.signal });
  // All whole windows of 64 were read; the rest waits for more.
  expect(lag.map(([partition]) => partition)).toEqual([0, 1]);
  for (const [, records, seconds] of lag) {
    expect(records).toBeLessThanOrEqual(2);
    expect(seconds === null || seconds >= 0).toBe(true);
  }
});

test('goes on with another device, and says so', async () => {
  const { told, observer } = listening();
  await start(tinyPipeline({ steps: 2 }), { observer });
  await start(tinyPipeline({ steps: 3 }), { observer, engine: { ...engine, device: 'gpu (another)' } });
  const [, before] = told.warnings[0]?.split('; it was ') ?? [];
  expect(before).toContain(', cpu, ');
  expect(told.warnings).toEqual([
    expect.stringMatching(/^from step 2 on, the engine is "native .*, gpu \(another\), /),
  ]);
});
