import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { samplesOf } from '../../src/checkpoint/journal.ts';
import { keptCommits } from '../../src/checkpoint/kept-commits.ts';
import { readState } from '../../src/checkpoint/restore.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { Log } from '../../src/log/log.ts';
import type { QueueHistory } from '../../src/memory-bank/changelog.ts';
import { planReplay } from '../../src/replay/plan.ts';
import { replay } from '../../src/replay/replay.ts';
import type { Beginning } from '../../src/trainer/beginning.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import type { StepReport } from '../../src/trainer/report.ts';
import type { TrainSettings } from '../../src/trainer/trainer.ts';
import { openTinyGround, type TinyGround } from './tiny-ground.ts';
import { imageRecord, tinyPipeline } from './tiny-run.ts';

let ground: TinyGround;
let engine: Engine;
let log: Log;
let names = 0;
let run: string;

const ORIGIN = 'origin';

beforeAll(async () => {
  ground = await openTinyGround();
  ({ engine, log } = ground);
  for (const steps of [5, 20]) await start(ORIGIN, tinyPipeline({ steps }));
}, 60_000);
beforeEach(() => {
  run = `run-${names++}`;
});
afterAll(() => ground.close());

const store = (of: string) => ground.store(of);
const committed = (of = run) => ground.committed(of);

const start = (of: string, pipeline: Pipeline, more: Partial<TrainSettings> = {}) => ground.train(of, pipeline, more);

const from = (step: number | null = null, of = ORIGIN): Beginning => ({
  from: { run: of, step, open: async () => ({ log, store: await store(of), run: of }) },
  since: null,
});

async function stateOf(of: string, step: number) {
  return readState({ log, store: await store(of), run: of }, { step });
}

async function replayed(of = run) {
  const what = { log, store: await store(of), run: of };
  return replay({ ...what, plan: await planReplay(what, {}), engine, tolerance: null });
}

/** A queue's rows with their steps, oldest first. */
function rowsOf({ count, capacity, dim, rows, labels, steps }: QueueHistory, shift = 0) {
  const valid = Math.min(count, capacity);
  return Array.from({ length: valid }, (_, i) => {
    const slot = (count - valid + i) % capacity;
    return [steps[slot]! + shift, labels[slot], ...rows.subarray(slot * dim, (slot + 1) * dim)];
  });
}

const other = { seed: 3, optimizer: { learningRate: 2e-4 } };

describe('a run that begins from another', () => {
  test('has its weights and queue as the commit of step 0, and a new optimizer; its origin stays as it was', async () => {
    const before = await committed(ORIGIN);
    const reports: StepReport[] = [];
    const observer = { onStep: (report: StepReport) => void reports.push(report) };
    await start(run, tinyPipeline({ steps: 8, ...other }), { beginning: from(), observer });
    expect((await committed(ORIGIN)).newest).toEqual(before.newest);
    const { commits } = await committed();
    const carried = ['params', 'ema', 'slow', 'queue'];
    expect(commits[0]).toMatchObject({ step: 0, generation: 1, position: { samples: 0 }, since: null });
    for (const { origin } of commits) expect(origin).toMatchObject({ run: ORIGIN, step: 20, carried });
    const [old, begun] = [await stateOf(ORIGIN, 20), await stateOf(run, 0)];
    expect(Buffer.from(commits[0]!.origin!.commit)).toEqual(Buffer.from(old.digest));
    for (const blob of ['model', 'ema', 'keys']) expect(begun.state[blob], blob).toEqual(old.state[blob]);
    for (const { data } of Object.values(begun.state['optimizer']!)) expect(data.every((x) => x === 0)).toBe(true);
    // 100 rows of batches of 7: the ring has wrapped, and a step's rows lie on both sides of its end.
    expect(rowsOf(begun.queue!)).toEqual(rowsOf(old.queue!, -20));
    expect(reports[0]!.repulsion).toMatchObject({ queueFill: 100, ageMax: 14 });
  });

  test('is the same again from its beginning, without its origin', async () => {
    await start('short-lived', tinyPipeline({ steps: 6 }));
    await start(run, tinyPipeline({ steps: 9, ...other }), { beginning: from(6, 'short-lived') });
    await start(run, tinyPipeline({ steps: 14, ...other }));
    await rm(join(ground.folder, 'short-lived'), { recursive: true });
    expect(await replayed()).toMatchObject({ identicalThrough: 14, diverged: null, steps: 14 });
  });

  test('keeps the state it began with, however many commits come after it: the replay needs it', async () => {
    const keep = { commit: { everySteps: 1, keep: { last: 2, every: null } } };
    await start(run, tinyPipeline({ steps: 4, ...keep }), { beginning: from() });
    for (const steps of [6, 8, 10]) await start(run, tinyPipeline({ steps, ...keep }));
    const kept = await keptCommits(log, `${run}.commits`, await store(run));
    expect(kept.map(({ step }) => step)).toEqual([10, expect.any(Number), 0]);
    expect(await replayed()).toMatchObject({ identicalThrough: 10, diverged: null, steps: 10 });
  });

  test('begins at the commit of the step that is named, and says which there are where it is not', async () => {
    await start(run, tinyPipeline({ steps: 1 }), { beginning: from(5) });
    expect((await committed()).newest.origin).toMatchObject({ step: 5 });
    await expect(start(`${run}-not`, tinyPipeline({ steps: 1 }), { beginning: from(7) })).rejects.toMatchObject({
      code: 'STATE_MISSING',
      exitStatus: 4,
      hint: expect.stringMatching(/^it keeps those of steps 5, (?:\d+, )*20;/),
    });
  });

  test('leaves a queue behind that was made another way, and takes a longer one shorter', async () => {
    const { repulsion } = tinyPipeline().losses;
    const over = (change: object) => ({ losses: { repulsion: { ...repulsion!, ...change } } });
    await start(run, tinyPipeline({ steps: 2, ...over({ keyMomentum: null }) }), { beginning: from() });
    expect((await committed()).newest.origin!.carried).toEqual(['params', 'ema']);
    const shorter = `${run}-shorter`;
    await start(shorter, tinyPipeline({ steps: 2, ...over({ queue: 30 }) }), { beginning: from() });
    expect((await committed(shorter)).newest.origin!.carried).toContain('queue');
    const begun = await stateOf(shorter, 0);
    expect(rowsOf(begun.queue!)).toEqual(rowsOf((await stateOf(ORIGIN, 20)).queue!, -20).slice(-30));
    expect(await replayed(shorter)).toMatchObject({ identicalThrough: 2, diverged: null });
  });

  test('needs a model that fits, and commits nothing otherwise', async () => {
    await expect(start(run, tinyPipeline({ model: { width: 16 } }), { beginning: from() })).rejects.toMatchObject({
      code: 'STATE_MISMATCH',
      exitStatus: 2,
      message: expect.stringMatching(/of another model: model\.width was 12, is 16$/),
    });
    expect((await log.offsets(`${run}.commits`, 0)).end).toBe(0);
    // Of these no tensor has another shape.
    for (const [name, value, was] of [
      ['heads', 1, 2],
      ['timeScale', 1, 10],
    ] as const)
      await expect(start(run, tinyPipeline({ model: { [name]: value } }), { beginning: from() })).rejects.toMatchObject(
        {
          code: 'STATE_MISMATCH',
          message: expect.stringContaining(`model.${name} was ${was}, is ${value}`),
        },
      );
  });

  test('goes on when it is begun so again, also when its origin is gone; another beginning is refused', async () => {
    const pipeline = tinyPipeline({ steps: 3 });
    await start(run, pipeline, { beginning: from(20) });
    expect(await start(run, { ...pipeline, steps: 5 }, { beginning: from() })).toMatchObject({ stepsHere: 2 });
    const gone: Beginning = {
      from: { run: null, step: 20, open: () => Promise.reject(new Error('opened')) },
      since: null,
    };
    expect(await start(run, { ...pipeline, steps: 6 }, { beginning: gone })).toMatchObject({ stepsHere: 1 });
    const refused = {
      code: 'STATE_MISMATCH',
      exitStatus: 2,
      message: expect.stringContaining('it began from origin@20'),
    };
    await expect(start(run, pipeline, { beginning: from(5) })).rejects.toMatchObject(refused);
    await expect(start(run, pipeline, { beginning: from(null, 'another') })).rejects.toMatchObject(refused);
    await expect(start(run, pipeline, { beginning: { from: null, since: { offset: 1 } } })).rejects.toMatchObject({
      message: expect.stringContaining('its input began where its settings said'),
    });
    await expect(start(ORIGIN, pipeline, { beginning: from(20) })).rejects.toMatchObject({
      message: expect.stringContaining('it began by its seed'),
    });
  });
});

describe('a run that begins since', () => {
  /** Records of 7 images, one a second from a time on, in turns over two partitions. */
  async function timed(topic: string, records: number): Promise<void> {
    await log.createTopic(topic, { partitions: 2 });
    const images = Array.from({ length: 7 }, (_, i) => new Uint8Array(784).fill(i));
    const value = imageRecord({ images, labels: null });
    const record = (i: number) => ({ partition: i % 2, value, timestamp: 1_700_000_000_000 + 1_000 * i });
    await log.append(
      topic,
      Array.from({ length: records }, (_, i) => record(i)),
    );
  }
  const since = (asked: Beginning['since']): { beginning: Beginning } => ({ beginning: { from: null, since: asked } });
  const offsets = async (partition: number) => {
    const ids = (await committed()).steps.flatMap(samplesOf).filter((id) => id.partition === partition);
    return [...new Set(ids.map(({ offset }) => offset))].sort((a, b) => a - b);
  };

  test('a time trains on the records from then on, every epoch', async () => {
    await timed('times', 10);
    const pipeline = tinyPipeline({ source: { topic: 'times', epochs: 2 }, operators: { shuffle: 14 } });
    // Record 5 of 10: the third of partition 1; the first of partition 0 that is as late is its fourth.
    const result = await start(run, pipeline, since({ time: 1_700_000_005_000 }));
    expect(result).toMatchObject({ ended: 'topic', step: 10 });
    expect(await offsets(0)).toEqual([3, 4]);
    expect(await offsets(1)).toEqual([2, 3, 4]);
    const { newest } = await committed();
    expect(newest.since).toBe('2023-11-14T22:13:25.000Z');
    expect(await replayed()).toMatchObject({ identicalThrough: 10, diverged: null });
  });

  test('an offset begins each partition there, and what comes later follows', async () => {
    await timed('offsets', 10);
    const source = { topic: 'offsets', follow: true };
    const pipeline = tinyPipeline({ source, operators: { shuffle: 7 }, steps: 6 });
    const training = start(run, pipeline, since({ offset: 3 }));
    const more = imageRecord({ images: Array.from({ length: 7 }, () => new Uint8Array(784)), labels: null });
    await log.append(
      'offsets',
      [0, 1].map((partition) => ({ partition, value: more })),
    );
    expect(await training).toMatchObject({ ended: 'steps', step: 6 });
    for (const partition of [0, 1]) expect(await offsets(partition)).toEqual([3, 4, 5]);
  });

  test('has its place from the beginning: stopped before its first step, it begins there all the same', async () => {
    await timed('stopped', 4);
    const source = { topic: 'stopped', follow: true, from: 'latest' as const };
    const pipeline = tinyPipeline({ source, operators: { shuffle: 7 }, steps: 2 });
    const stop = new AbortController();
    stop.abort();
    const asked = since({ time: 1_700_000_002_000 });
    expect(await start(run, pipeline, { signal: stop.signal, ...asked })).toMatchObject({
      ended: 'interrupted',
      step: 0,
    });
    expect(await start(run, pipeline, asked)).toMatchObject({ step: 2 });
    for (const partition of [0, 1]) expect(await offsets(partition)).toEqual([1]);
  });

  test('where nothing is, is refused with what there is', async () => {
    await timed('little', 4);
    const pipeline = tinyPipeline({ source: { topic: 'little' }, operators: { shuffle: 7 } });
    await expect(start(run, pipeline, since({ offset: 3 }))).rejects.toMatchObject({
      code: 'USAGE',
      message: 'little/0 has offsets 0 to 2; 3 is not there',
    });
    await expect(start(run, pipeline, since({ time: 1_800_000_000_000 }))).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
      message: expect.stringContaining('holds nothing since 2027-01-15T08:00:00.000Z'),
    });
  });
});
