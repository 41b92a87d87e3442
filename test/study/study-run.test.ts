import { mkdtempSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openEngine } from '../../src/engine/choose.ts';
import { digits } from '../../src/ingest/digits.ts';
import { measureTask } from '../../study/study/measure-task.ts';
import { pipelineOf, planned, type Task } from '../../study/study/plan.ts';
import { prepare } from '../../study/study/prepare.ts';
import type { Measurement } from '../../study/study/results.ts';
import { type ImageSetOfStudy, SETS } from '../../study/study/sets.ts';
import { trainTask, weightsAt } from '../../study/study/train-task.ts';
import { MAIN } from '../../study/study/variants.ts';

const out = mkdtempSync(join(tmpdir(), 'repulsor-study-run-'));
const log = `file:${join(out, 'log')}`;
const { engine } = await openEngine({ threads: 1 });
afterAll(async () => {
  engine.dispose();
  await rm(out, { recursive: true });
});

const IMAGES = 200;
const small = [
  'model.width=8',
  'model.depth=1',
  'operators.shuffle=100',
  'losses.repulsion.queue=64',
  'sampling.steps=2',
];

/** The digits, cut short, and one small variant. */
const set: ImageSetOfStudy = {
  ...SETS.digits,
  images: async () => ({
    ...digits(),
    total: IMAGES,
    async *images() {
      let left = IMAGES;
      for await (const image of digits().images()) {
        if (left-- === 0) return;
        yield image;
      }
    },
  }),
  variants: SETS.digits.variants
    .filter(({ name }) => name === MAIN)
    .map((variant) => ({ ...variant, overrides: [...small] })),
};
const taskIn = (folder: string): Task => {
  const how = { out, log, seeds: 1, samples: 20, threads: 1, marks: 2 };
  const steps = { digits: 8, emoji: 1 };
  const [task] = planned([set], { ...how, steps, equalTimeSteps: steps });
  return { ...task!, folder: join(out, folder) };
};

async function trained(task: Task, until: number): Promise<boolean> {
  const cut = new AbortController();
  return trainTask({
    ...{ task, engine, signal: cut.signal, pipeline: await pipelineOf(task) },
    onStep: (step) => {
      if (step === until) cut.abort();
    },
    onWarning: (line) => {
      throw new Error(line);
    },
  });
}

test('a run that is cut off goes on to the same weights at its marks, and is measured at each', async () => {
  await prepare(set, { out, log, note: () => undefined });
  const [whole, cut] = [taskIn('whole'), taskIn('cut')];
  expect(await trained(whole, Number.NaN)).toBe(true);
  expect(await trained(cut, 5)).toBe(false);
  expect(await trained(cut, Number.NaN)).toBe(true);
  for (const mark of [4, 8]) {
    const [a, b] = await Promise.all([whole, cut].map(({ folder }) => readFile(weightsAt(folder, mark))));
    expect(a!.equals(b!)).toBe(true);
  }

  const found: Measurement[] = [];
  for await (const one of measureTask(engine, await pipelineOf(whole), whole, whole.marks)) found.push(one);
  expect(found.map(({ step }) => step)).toEqual([4, 8]);
  for (const one of found) {
    expect(one).toMatchObject({ set: 'digits', variant: MAIN, seed: 0, steps: 8, samples: 20 });
    for (const value of [one.fid, one.kid, one.fidTrained]) expect(value).toBeGreaterThan(1);
    expect(one.accuracy).toBeGreaterThanOrEqual(0);
    expect(one.spread!.over).toBe(one.step);
    // The queue held nothing before the first step, so there is drift and a shift only later; both are of unit vectors.
    expect(one.spread!.shift).toBeLessThanOrEqual(4);
    expect(one.spread!.pairDistance).toBeGreaterThan(0);
  }
  expect(found[0]!.features!.effectiveRank).toBeGreaterThan(1);
}, 300_000);
