import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { StepReport } from '../../src/trainer/report.ts';
import { marksOf, pipelineOf, planned, type Task } from '../../study/study/plan.ts';
import { Progress } from '../../study/study/progress.ts';
import { readMeasurements } from '../../study/study/results.ts';
import { noteSeen, seenAt } from '../../study/study/seen.ts';
import { SETS } from '../../study/study/sets.ts';
import { EQUAL_TIME, MAIN, PLAIN } from '../../study/study/variants.ts';

const settings = {
  ...{ out: 'out', log: 'file:out/log', seeds: 2, samples: 10, threads: 1, marks: 4 },
  steps: { digits: 300, emoji: 100 },
  equalTimeSteps: { digits: 240, emoji: 100 },
};
const tasks = planned([SETS.digits, SETS.emoji], settings);
const named = (variant: string, set = 'digits') => tasks.find((task) => task.variant === variant && task.set === set)!;

describe('the plan of the study', () => {
  test('trains every variant with every seed once, and ends a seed of a tier before it begins the next', () => {
    expect(new Set(tasks.map(({ name }) => name)).size).toBe(tasks.length);
    expect(tasks.length).toBe(2 * (SETS.digits.variants.length + SETS.emoji.variants.length));
    const tiers = tasks.map(({ set, variant, seed }) => [
      SETS[set].variants.find(({ name }) => name === variant)!.tier,
      seed,
    ]);
    const order = tiers.map(([tier, seed]) => 10 * tier! + seed!);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  });

  test('gives equal time fewer steps, with a decay of their own, and marks at the same shares of them', () => {
    expect(named(MAIN).steps).toBe(300);
    expect(named(EQUAL_TIME).steps).toBe(240);
    expect(named(EQUAL_TIME).marks).toEqual([60, 120, 180, 240]);
    expect(marksOf(10, 3)).toEqual([3, 7, 10]);
    expect(marksOf(2, 4)).toEqual([1, 2]);
  });

  test('changes of the pipeline what the variant says and nothing else', async () => {
    const [plain, dispersive, main] = await Promise.all(
      [PLAIN, 'dispersive', MAIN].map((name) => pipelineOf(named(name))),
    );
    const without = ({ losses: _, name: __, ...rest }: typeof plain) => rest;
    expect(without(dispersive!)).toEqual(without(plain!));
    expect(without(main!)).toEqual(without(plain!));
    expect(plain!.losses.repulsion).toBeNull();
    expect(dispersive!.losses.repulsion).toMatchObject({
      ...{ lambda: 0.05, queue: 0, keyMomentum: null },
      projection: { pool: 'flatten', head: 'identity', normalize: false, centre: false },
      form: { kind: 'l2', tau: 0.5, perDimension: true, includeSelf: true },
    });
    expect(main!.losses.repulsion).toMatchObject({ lambda: 0.05, queue: 4096, keyMomentum: 0.99, form: { tau: 0.5 } });
    for (const task of tasks) expect((await pipelineOf(task)).steps).toBe(task.steps);
  });
});

test('progress counts what others measured before, and reckons the rest by the pace of this process', () => {
  let now = 0;
  const [first, second] = tasks as [Task, Task];
  const measured = new Map([[first, 4]]);
  const progress = new Progress(
    [first, second],
    (task) => measured.get(task) ?? 0,
    () => now,
  );
  expect(progress.words()).toBe('1 of 2 runs, 50.0%');
  now = 10_000;
  progress.at(second, 150);
  // 150 of 300 + 4 * 350 steps in 10 s.
  expect(progress.words()).toBe('1 of 2 runs, 54.4%, 1m43s left');
});

test('half a line of a killed process is passed over', () => {
  expect(readMeasurements('{"step":1}\n{"step":2}\n{"ste')).toEqual([{ step: 1 }, { step: 2 }]);
});

test('a run notes the mean of the last hundred steps at its marks, and who goes on finds it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'repulsor-study-'));
  try {
    const seen = noteSeen(folder, [150], true);
    const step = (number: number): StepReport =>
      ({
        step: number,
        repulsion: { pairDistance: number, uniformity: -number, shift: 1, similarity: 0, drift: 2 },
      }) as StepReport;
    for (let number = 1; number <= 160; number++) seen.onStep(step(number));
    seen.onEvaluation({ step: 150, effectiveRank: 7, uniformity: -3, knnAccuracy: null } as never);
    expect(await seenAt(folder, 150)).toEqual({
      spread: { pairDistance: 100.5, uniformity: -100.5, shift: 1, similarity: 0, drift: 2, over: 100 },
      features: { effectiveRank: 7, uniformity: -3, knnAccuracy: null },
    });
    expect(await seenAt(folder, 151)).toEqual({ spread: null, features: null });
  } finally {
    await rm(folder, { recursive: true });
  }
});
