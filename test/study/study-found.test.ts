import { describe, expect, test } from 'vitest';
import { fidAt, stepsToReach } from '../../study/study/curve.ts';
import { signsOfEscape } from '../../study/study/escape.ts';
import { outcomesOf } from '../../study/study/outcome.ts';
import { pairsOf } from '../../study/study/pairs.ts';
import { filled, reportOf } from '../../study/study/report.ts';
import type { Measurement, Spread } from '../../study/study/results.ts';
import { equalTime } from '../../study/study/settings-file.ts';
import type { StepTimes } from '../../study/study/step-times.ts';
import { EQUAL_TIME, MAIN, PLAIN, titleOf } from '../../study/study/variants.ts';

const curve = [
  { step: 100, fid: 50 },
  { step: 200, fid: 30 },
  { step: 300, fid: 40 },
];

describe('a curve', () => {
  test('is read on the straight lines between its marks, and nowhere else', () => {
    expect(fidAt(curve, 100)).toBe(50);
    expect(fidAt(curve, 150)).toBe(40);
    expect(fidAt(curve, 225)).toBe(32.5);
    expect(fidAt(curve, 300)).toBe(40);
    expect([fidAt(curve, 99), fidAt(curve, 301), fidAt([], 1)]).toEqual([null, null, null]);
  });

  test('reaches a target where it first comes down to it, or never', () => {
    expect(stepsToReach(curve, 35)).toBe(175);
    expect(stepsToReach(curve, 30)).toBe(200);
    expect(stepsToReach(curve, 60)).toBe(100);
    expect(stepsToReach(curve, 29)).toBeNull();
  });
});

describe('pairs of equal seed', () => {
  const byStep = (...values: number[]) => new Map(values.map((value, seed) => [seed, value]));

  test('differ by seed, and chance is counted over all swaps', () => {
    // Differences -3, -1, -2: only all three as they are, or all three swapped, are as far from 0: 2 of 8.
    expect(pairsOf(byStep(7, 9, 8), byStep(10, 10, 10))).toEqual({ differences: [-3, -1, -2], lower: 3, p: 0.25 });
    // -3, 1, -2: sums of the 8 ways in size 4, 6, 2, 0 twice each; two of four are at least 4.
    expect(pairsOf(byStep(7, 11, 8), byStep(10, 10, 10))).toMatchObject({ lower: 2, p: 0.5 });
    expect(pairsOf(byStep(10, 10), byStep(10, 10))?.p).toBe(1);
    // 0.1 + 0.1 + 0.1 - 0.1 is more than 0.1 + 0.1 - 0.1 + 0.1, by rounding alone.
    expect(pairsOf(byStep(0.1, 0.1, 0.1, -0.1), byStep(0, 0, 0, 0))?.p).toBe(10 / 16);
    expect(pairsOf(byStep(10.1, 10.1), byStep(10, 10))).toMatchObject({ lower: 0, p: 0.5 });
  });

  test('are of the seeds that both have', () => {
    const plain = new Map([
      [1, 5],
      [2, 6],
    ]);
    expect(pairsOf(byStep(1, 2), plain)?.differences).toEqual([-3]);
    expect(pairsOf(byStep(1), plain)).toBeNull();
  });
});

const spread = (over: Partial<Spread> = {}): Spread => ({
  ...{ pairDistance: 1.8, uniformity: -3, shift: 0.1, similarity: 0, drift: 0.1, over: 100 },
  ...over,
});
const point = (
  variant: string,
  seed: number,
  step: number,
  fid: number,
  over: Partial<Measurement> = {},
): Measurement => ({
  ...{
    set: 'digits',
    variant,
    seed,
    step,
    steps: 200,
    samples: 10,
    fid,
    kid: fid / 1000,
    fidTrained: fid - 1,
    accuracy: 0.9,
  },
  spread: variant === PLAIN ? null : spread(),
  features: { effectiveRank: 10, uniformity: -2, knnAccuracy: null },
  ...over,
});
const run = (variant: string, seed: number, middle: number, end: number) => [
  point(variant, seed, 100, middle),
  point(variant, seed, 200, end),
];
const measured = [
  ...[...run(PLAIN, 0, 80, 40), ...run(PLAIN, 1, 90, 44)],
  ...[...run(MAIN, 0, 60, 30), ...run(MAIN, 1, 70, 46)],
  // Cut off: its curve is shown, but it has no end.
  point(MAIN, 2, 100, 50),
];
const times: StepTimes = {
  ...{ date: '2026-11-26T05:00:00.000Z', cpu: 'a cpu', threads: 1, rounds: 3, load: [1, 2] },
  sets: {
    digits: Object.fromEntries(
      [
        [PLAIN, 1],
        [MAIN, 1.25],
      ].map(([name, ratio]) => {
        const of = (median: number) => ({ median, min: median, max: median, samples: 3 });
        const [cpu, wall] = [of(Number(ratio)), of(9)];
        return [name, { cpuSeconds: cpu, wallSeconds: wall, overPlain: cpu, wallOverPlain: wall }];
      }),
    ),
  },
};

describe('what became of a variant', () => {
  const [plain, main] = outcomesOf(measured, 'digits', [PLAIN, MAIN, EQUAL_TIME], times);

  test('is told of the runs that ended, with the target and the time of plain', () => {
    expect([...main!.fid]).toEqual([
      [0, 30],
      [1, 46],
    ]);
    expect(main!.pairs).toMatchObject({ differences: [-10, 2], lower: 1 });
    expect(plain!.pairs).toBeNull();
    // Plain ends at 42 in the mean: 60 to 30 is there after 60 of 100 steps, 70 to 46 never.
    expect(main!.toPlain).toEqual([160, null]);
    // 200 / 1.25 steps take plain's time.
    expect(main!.atPlainTime[0]).toBeCloseTo(42, 12);
    expect(main!.atPlainTime[1]).toBeCloseTo(70 - 0.6 * 24, 12);
    expect(outcomesOf(measured, 'emoji', [PLAIN], times)).toEqual([]);
  });

  test('decides how long the run of equal time is', () => {
    expect(equalTime({ digits: 200, emoji: 90 }, times)).toEqual({ digits: 160, emoji: 90 });
    expect(equalTime({ digits: 200, emoji: 90 }, { ...times, threads: 4 }).digits).toBe(22);
  });
});

test('a batch on one point, one opposite to its queue, and narrow features are named', () => {
  const of = (over: Partial<Spread>, rank = 10) =>
    signsOfEscape(
      point(MAIN, 0, 100, 1, {
        spread: spread(over),
        features: { effectiveRank: rank, uniformity: 0, knnAccuracy: null },
      }),
      12,
    );
  expect(of({})).toEqual([]);
  expect(of({ pairDistance: 0.49 })).toEqual(['collapsed']);
  expect(of({ shift: 2.1 })).toEqual(['fled']);
  expect(of({ drift: 2.1 })).toEqual(['apart']);
  expect(of({ shift: null, drift: null })).toEqual([]);
  expect(of({}, 5.9)).toEqual(['narrow']);
});

test('a report has the tables and plots of what is there, and fills their places in a page', () => {
  const report = reportOf(measured, times);
  expect([...report.sections.keys()].sort()).toEqual(
    ['bars', 'curves', 'dots', 'end', 'step-times', 'time', 'trap'].map((name) => `digits-${name}`),
  );
  const section = (name: string) => report.sections.get(name)!.replaceAll(/ +/g, ' ');
  expect(section('digits-end')).toContain(`| ${titleOf(MAIN)} | 200 | 2 | 38.0 (30.0 to 46.0) | -10, +2 | 1 of 2 |`);
  expect(section('digits-time')).toContain(`| ${titleOf(MAIN)} | 1.25 | 48.8 (42.0 to 55.6) | 160 | 100% | 1 of 2 |`);
  expect(section('digits-trap').match(/\| free \|/g)).toHaveLength(4);
  expect([...report.plots.keys()].sort()).toEqual([
    'study-digits-end.svg',
    'study-digits-step-times.svg',
    'study-digits.svg',
  ]);
  for (const svg of report.plots.values()) expect(svg).not.toContain('NaN');
  // Plain, and one panel with plain behind: two lines of two marks.
  expect(report.plots.get('study-digits.svg')!.match(/<polyline/g)).toHaveLength(2);
  expect(report.plots.get('study-digits-end.svg')!.match(/<circle/g)).toHaveLength(4);

  const page = 'a\n<!-- study: digits-end -->\nold\n<!-- end -->\nb\n<!-- study: emoji-end -->\n<!-- end -->\n';
  const once = filled(page, report.sections);
  expect(once).toContain(report.sections.get('digits-end')!);
  expect(once).not.toContain('old');
  expect(once).toContain('<!-- study: emoji-end -->\n\nNot measured yet.\n\n<!-- end -->');
  expect(filled(once, report.sections)).toBe(once);
});
