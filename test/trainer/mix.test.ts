import { afterAll, beforeAll, expect, test } from 'vitest';
import { samplesOf } from '../../src/checkpoint/journal.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { Log } from '../../src/log/log.ts';
import { planReplay } from '../../src/replay/plan.ts';
import { replay } from '../../src/replay/replay.ts';
import { checkPipeline } from '../../src/trainer/check-pipeline.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import type { TrainObserver } from '../../src/trainer/trainer.ts';
import { openTinyGround, type TinyGround } from './tiny-ground.ts';
import { BATCH, expectSame, IMAGES, TOPIC, tinyPipeline } from './tiny-run.ts';

/** Runs of the real engine on a file log, a third of whose samples come out of the archive. */
let ground: TinyGround;
let engine: Engine;
let log: Log;

beforeAll(async () => {
  ground = await openTinyGround();
  ({ engine, log } = ground);
});
afterAll(() => ground.close());

const MIX = { topic: null, share: 0.3, window: 40 };
const mixed = (steps: number, mix: Pipeline['operators']['mix'] = MIX): Pipeline => {
  const tiny = tinyPipeline({ steps, commit: { everySteps: 7 } });
  return { ...tiny, operators: { ...tiny.operators, shuffle: 30, mix } };
};
const start = (run: string, pipeline: Pipeline, observer: TrainObserver = {}) =>
  ground.train(run, pipeline, { observer });

test('stopped and gone on with, it is the uninterrupted run bit for bit, over epochs; and its replay is too', async () => {
  await start('whole', mixed(45));
  for (const steps of [3, 12, 29, 45]) await start('pieces', mixed(steps));
  const whole = await ground.committed('whole');
  expectSame(await ground.committed('pieces'), whole);
  expect(whole.newest.position.epoch).toBeGreaterThan(0);

  const taken = whole.steps.flatMap((entry) =>
    samplesOf(entry).map((id, i) => ({
      name: `${id.partition}/${id.offset}/${id.index}`,
      again: entry.archived.includes(i),
    })),
  );
  const again = taken.filter((sample) => sample.again);
  // All but those of the first shuffle window, while the archive had nothing.
  expect(again.length).toBeGreaterThan(0.3 * (45 * BATCH) - 20);
  expect(again.length).toBeLessThanOrEqual(0.3 * (45 * BATCH));
  for (const [i, { name, again: isAgain }] of taken.entries())
    if (isAgain) expect(taken.slice(0, i).some((before) => before.name === name && !before.again)).toBe(true);
  const fresh = taken.filter((sample) => !sample.again).slice(0, IMAGES);
  expect(new Set(fresh.map(({ name }) => name)).size).toBe(IMAGES);

  const from = { log, store: await ground.store('whole'), run: 'whole' };
  const found = await replay({ ...from, plan: await planReplay(from, {}), engine, tolerance: null });
  expect(found).toMatchObject({ identicalThrough: 45, diverged: null });
});

test('a run may change the share, and leave off; it says so, and its replay is the same', async () => {
  const told: string[] = [];
  const observer: TrainObserver = { onWarning: (message) => void told.push(message) };
  await start('changing', mixed(10), observer);
  await start('changing', mixed(20, { ...MIX, share: 0.6 }), observer);
  await start('changing', mixed(30, null), observer);
  expect(told.filter((message) => !/operators\.mix/.test(message))).toEqual([]);
  expect(told).toContain('from step 10 on, operators.mix.share is 0.6; it was 0.3');
  const { steps } = await ground.committed('changing');
  const shares = [0, 10, 20].map((begin) =>
    steps.slice(begin, begin + 10).reduce((sum, { archived }) => sum + archived.length, 0),
  );
  expect(shares).toEqual([expect.any(Number), 42, 0]);
  const from = { log, store: await ground.store('changing'), run: 'changing' };
  const found = await replay({ ...from, plan: await planReplay(from, {}), engine, tolerance: null });
  expect(found).toMatchObject({ identicalThrough: 30, diverged: null });
});

test('settings are completed on the command line as in a file, and a contradiction is named', () => {
  const tiny = tinyPipeline();
  const withMix = (mix: unknown) => checkPipeline({ ...tiny, operators: { ...tiny.operators, mix } }, 'here');
  expect(withMix({ share: 0.5 }).operators.mix).toEqual({ topic: null, share: 0.5, window: 1_024 });
  expect(withMix(null).operators.mix).toBeNull();
  for (const share of [0, 1, -1]) expect(() => withMix({ share })).toThrow(/operators\.mix\.share/);
  expect(() => withMix({ share: 0.5, topic: TOPIC })).toThrow(/operators\.mix\.topic: images is an input/);
});
