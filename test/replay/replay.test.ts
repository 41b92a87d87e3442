import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lineageBackwards } from '../../src/checkpoint/commit-history.ts';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { samplesOf } from '../../src/checkpoint/journal.ts';
import { runTopics } from '../../src/checkpoint/run-id.ts';
import type { Commit, StepJournal } from '../../src/codec/records.ts';
import { decode, encode } from '../../src/codec/single-object.ts';
import { openEngine } from '../../src/engine/choose.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { SampleId } from '../../src/operators/position.ts';
import { planReplay } from '../../src/replay/plan.ts';
import { type ReplaySettings, replay } from '../../src/replay/replay.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import { type TrainSettings, train } from '../../src/trainer/trainer.ts';
import { addBadRecords, fillTopic, readCommitted, tinyPipeline } from '../trainer/tiny-run.ts';
import { copyChanged, withSettings } from './copied-log.ts';

/** Runs of the real engine on a file log; each way to diverge is made in a copy of that log. */
let engine: Engine;
let folder: string;
let log: Log;
const logs: Log[] = [];

beforeAll(async () => {
  ({ engine } = await openEngine({ name: 'native' }));
  folder = await mkdtemp(join(tmpdir(), 'repulsor-replay-'));
  log = await openLog(`file:${join(folder, 'log')}`);
  await fillTopic(log);
  await addBadRecords(log);
});
afterAll(async () => {
  for (const each of [log, ...logs]) await each.close();
  engine.dispose();
  await rm(folder, { recursive: true, force: true });
});

const blobs = (run: string) => join(folder, run, 'blobs');

async function start(run: string, pipeline: Pipeline, more: Partial<TrainSettings> = {}) {
  const { signal } = new AbortController();
  const store = await openFolderStore(blobs(run));
  return train({ pipeline, log, store, run, engine, observer: {}, signal, ...more });
}

async function replayed(
  run: string,
  asked: { from?: number; to?: number } & Partial<Pick<ReplaySettings, 'log' | 'engine' | 'tolerance'>> = {},
) {
  const store = await openFolderStore(blobs(run));
  const from = { log: asked.log ?? log, store, run };
  return replay({ ...from, plan: await planReplay(from, asked), engine, tolerance: null, ...asked });
}

const committed = (run: string) => readCommitted(log, run, blobs(run));

describe('a run is the same again', () => {
  test('over resumes, epochs, bad records, settings that changed on the way, and commits that a fallback gave up', async () => {
    const run = 'long';
    await start(run, tinyPipeline({ steps: 13 }));
    // Tunable settings and free ones: each commit knows those of its own steps.
    const slower = { optimizer: { learningRate: 5e-4, decayShare: 0.5 }, losses: { labelDropout: 0.3 } };
    await start(run, tinyPipeline({ steps: 33, commit: { everySteps: 4 }, ...slower }));
    const { newest } = await committed(run);
    for (const { sha256 } of newest.blobs) await damage(blobs(run), sha256);
    await start(run, tinyPipeline({ steps: 60 }), { fallback: true });
    const lineage: Commit[] = [];
    for await (const { commit } of lineageBackwards(log, runTopics(run).commits)) lineage.push(commit);
    const given = (await log.offsets(runTopics(run).commits, 0)).end - lineage.length;
    expect(given).toBeGreaterThan(0); // up, and its steps lie in the journal still
    expect((await log.offsets(runTopics(run).journal, 0)).end).toBeGreaterThan(60);
    expect(new Set(lineage.map(({ configDigest }) => configDigest)).size).toBe(3);
    expect(await replayed(run)).toEqual({
      identicalThrough: 60,
      diverged: null,
      steps: 60,
      commits: lineage.length,
      maxDeviation: null,
    });
  }, 120_000);

  test('without a queue, and without any repulsion', async () => {
    const { repulsion } = tinyPipeline().losses;
    for (const [run, over] of [
      ['no-queue', { ...repulsion!, queue: 0 }],
      ['no-repulsion', null],
    ] as const) {
      await start(run, tinyPipeline({ steps: 12, losses: { repulsion: over } }));
      expect(await replayed(run)).toMatchObject({ identicalThrough: 12, diverged: null, steps: 12 });
    }
  }, 60_000);
});

async function damage(folder: string, sha256: string): Promise<void> {
  for (const name of await readdir(folder)) if (name.startsWith(sha256)) await writeFile(join(folder, name), 'damaged');
}

/** One trained run, whose log is copied with this or that in it changed. Each start ends with a commit. */
const ONCE = 'once';
const COMMITS = [6, 9, 15, 18, 24];
const STEPS = 24;

describe('what differs first is named:', () => {
  beforeAll(async () => {
    for (const steps of COMMITS) await start(ONCE, tinyPipeline({ steps, commit: { everySteps: 1_000 } }));
    const { commits } = await committed(ONCE);
    expect(commits.map(({ step }) => step)).toEqual(COMMITS);
    // The first is not kept.
    for (const { sha256 } of commits[0]!.blobs)
      for (const name of await readdir(blobs(ONCE))) if (name.startsWith(sha256)) await rm(join(blobs(ONCE), name));
  }, 60_000);

  let copies = 0;
  async function changed(change: Parameters<typeof copyChanged>[3]): Promise<Log> {
    const copy = await copyChanged(log, ONCE, join(folder, `copy-${copies++}`), change);
    logs.push(copy);
    return copy;
  }

  test('nothing, in a copy that is the same', async () => {
    const result = await replayed(ONCE, { log: await changed((_, records) => records) });
    expect(result).toMatchObject({ identicalThrough: STEPS, diverged: null, steps: STEPS });
  });

  test('the batch, at the first step that took an image whose bytes changed', async () => {
    const copy = await changed((topic, records) =>
      records.map((record, offset) => {
        if (topic !== 'images' || record.partition !== 0 || offset !== 6) return record;
        const batch = decode('image-batch', record.value!);
        batch.images[4]![100]! ^= 1;
        return { ...record, value: encode('image-batch', batch) };
      }),
    );
    const { steps } = await committed(ONCE);
    const wanted = (entry: StepJournal) =>
      samplesOf(entry).some(({ partition, offset, index }) => partition === 0 && offset === 6 && index === 4);
    const { step } = steps.find(wanted)!;
    expect(step).toBeGreaterThan(1);
    const { diverged, identicalThrough } = await replayed(ONCE, { log: copy });
    expect(identicalThrough).toBe(step - 1);
    expect(diverged).toMatchObject({ step, what: 'batch', message: expect.stringContaining('other images or labels') });
    // With a tolerance, too: an engine cannot change what goes in.
    expect(await replayed(ONCE, { log: copy, tolerance: 1e-3 })).toMatchObject({ diverged: { step, what: 'batch' } });
  });

  test('a changed label as the batch', async () => {
    const copy = await changed((topic, records) =>
      records.map((record, offset) => {
        if (topic !== 'images' || record.partition !== 1 || offset !== 0) return record;
        const batch = decode('image-batch', record.value!);
        const labels = batch.labels!.map((label) => (label + 1) % 10);
        return { ...record, value: encode('image-batch', { ...batch, labels }) };
      }),
    );
    expect(await replayed(ONCE, { log: copy })).toMatchObject({ diverged: { what: 'batch' } });
  });

  test.each([
    ['a tombstone now', () => null, 'it is a tombstone now'],
    ['bytes that are no record', () => new Uint8Array([1, 2]), 'not in Avro single-object encoding'],
    ['a record with fewer images', cut, 'the record has no such image'],
  ])('the records, when one of them is %s', async (_name, change, message) => {
    const copy = await changed((topic, records) =>
      records.map((record, offset) =>
        topic === 'images' && record.partition === 1 && offset === 2
          ? { ...record, value: change(record.value!) }
          : record,
      ),
    );
    const { steps } = await committed(ONCE);
    const first = steps.find((entry) => samplesOf(entry).some(isLost))!;
    const { diverged, identicalThrough } = await replayed(ONCE, { log: copy });
    expect(identicalThrough).toBe(first.step - 1);
    expect(diverged).toMatchObject({ step: first.step, what: 'records', message: expect.stringContaining(message) });
    expect(diverged!.message).toMatch(/^images\/1 offset 2 image \d+: /);

    function isLost({ partition, offset, index }: SampleId): boolean {
      return partition === 1 && offset === 2 && (change !== cut || index >= 3);
    }
  });

  function cut(value: Uint8Array): Uint8Array {
    const batch = decode('image-batch', value);
    return encode('image-batch', { ...batch, images: batch.images.slice(0, 3), labels: batch.labels!.slice(0, 3) });
  }

  test('the records, when their topic ends before them, or is not in the log', async () => {
    const short = await changed((topic, records) => (topic === 'images' ? records.slice(0, 2) : records));
    expect(await replayed(ONCE, { log: short })).toMatchObject({
      diverged: { what: 'records', message: expect.stringContaining('the record is not there any more') },
    });
    const none = await changed((topic, records) => (topic === 'images' ? null : records));
    expect(await replayed(ONCE, { log: none })).toMatchObject({
      identicalThrough: 0,
      diverged: { step: 1, what: 'records', message: expect.stringContaining('the topic images is not in file:') },
    });
  });

  test.each([
    // Flips are drawn by the seed.
    ['the batch', 'another seed', { seed: 1 }, { what: 'batch', step: 1 }],
    [
      'the loss',
      'another weight of the repulsion',
      { losses: { repulsion: { lambda: 0.06 } } },
      { what: 'loss', step: 1, differs: ['loss'] },
    ],
    [
      'the keys',
      'another momentum of the keys',
      { losses: { repulsion: { keyMomentum: 0.9 } } },
      { what: 'keys', step: 2 },
    ],
    ['the weights', 'another average of them', { optimizer: { ema: 0.91 } }, { what: 'weights', differs: ['weights'] }],
  ])('%s, with %s', async (_name, _how, over, wanted) => {
    const copy = await changed(withSettings((config) => merge(config, over)));
    const { diverged, identicalThrough } = await replayed(ONCE, { log: copy });
    expect(diverged).toMatchObject(wanted);
    expect(identicalThrough).toBe(wanted.what === 'weights' ? 0 : diverged!.step - 1);
    if (wanted.what === 'keys') expect(diverged!.message).toMatch(/off by up to \d/);
    if (wanted.what === 'loss') expect(diverged!.message).toMatch(/^total was [\d.]+, is [\d.]+$/);
  });

  test('the weights at the first commit where they differ, and in which tensor most where they are kept', async () => {
    const copy = await changed(withSettings((config) => merge(config, { optimizer: { ema: 0.91 } })));
    const { diverged } = await replayed(ONCE, { log: copy });
    expect(diverged).toMatchObject({
      step: 6,
      message: expect.stringMatching(/^the blob ema is not that of the commit/),
    });
    expect(diverged!.message).not.toContain('most in'); // its weights are not kept
    const later = await replayed(ONCE, { log: copy, from: 18 });
    expect(later.identicalThrough).toBe(18);
    expect(later.diverged!.message).toMatch(
      /^the blob ema is not that of the commit; most in ema\/\S+, by \S+ after step 24; after step 18 all agreed/,
    );
  });

  test('a damaged journal ends it, after the steps before it', async () => {
    const copy = await changed((topic, records) =>
      records.map((record, offset) => {
        if (topic !== 'journal' || offset !== 20) return record;
        const entry = decode('step-journal', record.value!);
        return { ...record, value: encode('step-journal', { ...entry, terms: { ...entry.terms, total: 1 } }) };
      }),
    );
    const steps: number[] = [];
    const from = { log: copy, store: await openFolderStore(blobs(ONCE)), run: ONCE };
    const plan = await planReplay(from, {});
    const onStep = ({ step }: { step: number }) => void steps.push(step);
    await expect(replay({ ...from, plan, engine, tolerance: null, onStep })).rejects.toMatchObject({
      code: 'STATE_DAMAGED',
      exitStatus: 4,
      message: expect.stringContaining('step 21 does not have the digest'),
    });
    expect(steps.at(-1)).toBe(20);
  });

  describe('a part of it', () => {
    test('begins at a kept commit, and ends at any step', async () => {
      const part = { diverged: null, steps: 5, commits: 1, identicalThrough: 20 };
      for (const from of [15, 17]) expect(await replayed(ONCE, { from, to: 20 })).toMatchObject(part);
      expect(await replayed(ONCE, { from: 0, to: 2 })).toMatchObject({ steps: 2, commits: 0, identicalThrough: 2 });
      expect(await replayed(ONCE, { from: 18, to: 24 })).toMatchObject({ steps: 6, commits: 1, identicalThrough: 24 });
      expect(await replayed(ONCE, { from: 24 })).toMatchObject({ steps: 0, commits: 0, identicalThrough: 24 });
    });

    test('says which commits are kept where none is early enough, and what is committed', async () => {
      await expect(replayed(ONCE, { from: 8 })).rejects.toMatchObject({
        code: 'STATE_MISSING',
        exitStatus: 4,
        message: expect.stringContaining('kept: steps 9, 15, 18, 24'),
      });
      const outside = { code: 'USAGE', message: expect.stringContaining(`committed steps 1 to ${STEPS}`) };
      await expect(replayed(ONCE, { to: STEPS + 1 })).rejects.toMatchObject(outside);
      await expect(replayed(ONCE, { from: 9, to: 8 })).rejects.toMatchObject(outside);
    });

    test('is refused where the weights it begins with are damaged', async () => {
      const run = 'damaged';
      for (const steps of [3, 6]) await start(run, tinyPipeline({ steps }));
      const [first] = (await committed(run)).commits;
      await damage(blobs(run), first!.blobs[0]!.sha256);
      await expect(replayed(run, { from: 5 })).rejects.toMatchObject({ code: 'STATE_DAMAGED', exitStatus: 4 });
      expect(await replayed(run)).toMatchObject({ diverged: null, identicalThrough: 6 });
    });
  });

  describe('by value', () => {
    test('another engine is within a tolerance, and how far it is off is told', async () => {
      const { engine: wasm } = await openEngine({ name: 'wasm' });
      const result = await replayed(ONCE, { engine: wasm, tolerance: 1e-3 });
      expect(result).toMatchObject({ identicalThrough: STEPS, diverged: null, commits: 4 });
      for (const kind of ['loss', 'keys', 'weights'] as const) {
        expect(result.maxDeviation![kind]!.value, kind).toBeGreaterThan(0);
        expect(result.maxDeviation![kind]!.value, kind).toBeLessThan(1e-3);
      }
      const strict = await replayed(ONCE, { engine: wasm, tolerance: 1e-12 });
      expect(strict.diverged).toMatchObject({ what: expect.stringMatching(/keys|loss/) });
      const bits = await replayed(ONCE, { engine: wasm });
      expect(bits.diverged!.step).toBeLessThanOrEqual(3);
      wasm.dispose();
    });

    test('the same engine deviates by nothing, and another method by more than is allowed', async () => {
      const none = { value: 0 };
      expect(await replayed(ONCE, { tolerance: 0 })).toMatchObject({
        diverged: null,
        maxDeviation: { loss: none, keys: none, weights: none },
      });
      const copy = await changed(withSettings((config) => merge(config, { optimizer: { ema: 0.5 } })));
      expect(await replayed(ONCE, { log: copy, tolerance: 1e-6 })).toMatchObject({
        diverged: { what: 'weights', step: 9 }, // the first whose weights are kept
      });
    });
  });
});

test('a trainer at work is not disturbed: its commits go on, and what it has committed by then is the same again', async () => {
  const run = 'live';
  const stop = new AbortController();
  let commits = 0;
  const observer = { onCommit: () => void commits++ };
  const training = start(run, tinyPipeline({ steps: null, commit: { everySteps: 10 } }), {
    observer,
    signal: stop.signal,
  });
  await expect.poll(() => commits, { timeout: 60_000 }).toBeGreaterThan(2);
  const before = commits;
  const result = await replayed(run);
  expect(result).toMatchObject({ diverged: null });
  expect(result.identicalThrough).toBeGreaterThanOrEqual(20);
  await expect.poll(() => commits, { timeout: 60_000 }).toBeGreaterThan(before + 1);
  stop.abort();
  await training;
  const { commits: all } = await committed(run);
  expect(new Set(all.map(({ epoch }) => epoch)).size).toBe(1);
}, 120_000);

function merge(into: Record<string, never>, over: object): void {
  for (const [name, value] of Object.entries(over))
    if (typeof value === 'object' && typeof into[name] === 'object') merge(into[name], value);
    else into[name] = value as never;
}
