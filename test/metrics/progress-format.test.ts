import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bytes,
  count,
  duration,
  formatBlock,
  formatLine,
  number,
  type ProgressView,
} from '../../src/metrics/progress-format.ts';
import { commitReport, stepReport } from './reports.ts';

const view = (changes: Partial<ProgressView> = {}): ProgressView => ({
  total: 5086,
  report: stepReport(1204),
  samplesPerSecond: 642.34,
  stepsPerSecond: 20,
  sinceStep: 0.02,
  commit: { report: commitReport(1200, 12), secondsAgo: 12.4 },
  ...changes,
});
const withRepulsion = (changes: object) =>
  view({ report: stepReport(1204, { repulsion: { ...stepReport(1204).repulsion!, ...changes } }) });

describe('the status block', () => {
  test('tells the step, the losses, the speed, the repulsion and the commit', () => {
    expect(formatBlock(view(), 100)).toEqual([
      'step 1,204/5,086  23%  3m14s left  [#########-------------------------------]',
      'loss 0.2108  flow 0.2008  repulsion 0.01000',
      '642 img/s  step 50.0ms  waiting for data 17%  gradient 0.800  lr 0.00400',
      'queue full (4,096)  oldest 128 steps  pair distance 1.90  uniformity -2.50',
      'committed step 1,200 (generation 12)  12s ago  38.0MB in 400ms',
    ]);
  });

  test('tells that a commit held up the steps, where that was for longer than a step', () => {
    const stalled = (stallSeconds: number) =>
      formatBlock(view({ commit: { report: commitReport(1200, 12, { stallSeconds }), secondsAgo: 1 } }), 200).at(-1);
    expect(stalled(0.04)).not.toContain('held up');
    expect(stalled(0.3)).toContain('steps held up 300ms');
  });

  test('fits any terminal, and loses no field to a narrow one that has room for it', () => {
    const wide = formatBlock(view(), 400)
      .join('  ')
      .replace(/ {2}\[.*?\]/, '');
    for (let columns = 40; columns <= 120; columns++) {
      const lines = formatBlock(view(), columns);
      for (const line of lines) expect(line.length).toBeLessThan(columns);
      expect(lines.join('  ').replace(/ {2}\[.*?\]/, '')).toBe(wide);
    }
  });

  test('fits and is text whatever the numbers are', () => {
    const any = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, 0, -0));
    const report = fc.record({
      step: fc.nat(),
      terms: fc.dictionary(fc.string(), any),
      gradientNorm: any,
      parameterNorm: any,
      learningRate: any,
      samples: fc.nat(),
      archived: fc.nat(),
      streamShift: fc.option(any),
      stepSeconds: any,
      waitSeconds: any,
      repulsion: fc.option(
        fc.record({
          queueFill: fc.nat(),
          queueCapacity: fc.nat(),
          ageMax: any,
          ageMean: any,
          drift: any,
          shift: any,
          similarity: any,
          pairDistance: any,
          uniformity: any,
          positiveDistance: any,
          blocks: fc.constant([]),
        }),
      ),
    });
    fc.assert(
      fc.property(report, fc.option(fc.nat()), fc.option(any), any, fc.integer({ min: 0, max: 300 }), (...given) => {
        const [step, total, rate, sinceStep, columns] = given;
        const shown = view({ report: step, total, stepsPerSecond: rate, samplesPerSecond: rate, sinceStep });
        for (const line of formatBlock(shown, columns)) {
          expect(line.length).toBeLessThan(Math.max(columns, 2));
          expect(line).not.toContain('undefined');
        }
        expect(formatLine(shown)).not.toMatch(/\n|undefined/);
      }),
    );
  });

  test('has no bar, no percentage and no end in sight when the run has none', () => {
    expect(formatBlock(view({ total: null }), 100)[0]).toBe('step 1,204');
  });

  test('is full only when all is done, and then promises no time left', () => {
    const almost = formatBlock(view({ report: stepReport(5085) }), 100)[0]!;
    expect(almost).toMatch(/ {2}99% {2}50\.0ms left {2}\[#+-\]$/);
    const done = formatBlock(view({ report: stepReport(5086) }), 100)[0]!;
    expect(done).toMatch(/ {2}100% {2}\[#+\]$/);
    expect(done).not.toContain('left');
    expect(formatBlock(view({ total: 0 }), 100)[0]).toContain('100%');
  });

  test('shows a loss of NaN as such', () => {
    const report = stepReport(7, { terms: { total: Number.NaN }, gradientNorm: Number.POSITIVE_INFINITY });
    const text = formatBlock(view({ report }), 100).join('\n');
    expect(text).toContain('loss NaN');
    expect(text).toContain('gradient inf');
  });

  test('names collapse and flight, and is silent about them in health', () => {
    const text = (changes: object) => formatBlock(withRepulsion(changes), 100).join('\n');
    expect(text({})).not.toMatch(/COLLAPSED|FLED/);
    expect(text({ pairDistance: 0.0412 })).toContain('pair distance 0.0412 (COLLAPSED)');
    expect(text({ shift: 3.87 })).toContain('shift 3.87 (FLED FROM THE QUEUE)');
  });

  test('names the blocks whose batch has escaped, where there are several, and no queue where there is none', () => {
    const { blocks } = stepReport(7).repulsion!;
    const of = (block: number, changes: object) => ({ ...blocks[0]!, block, ...changes });
    const changes = { pairDistance: 0.01, shift: 3.9, blocks: [of(2, { pairDistance: 0.01 }), of(5, { shift: 3.9 })] };
    const text = (over: object) => formatBlock(withRepulsion(over), 200).join('\n');
    expect(text(changes)).toContain('pair distance 0.0100 (COLLAPSED, BLOCK 2)');
    expect(text(changes)).toContain('shift 3.90 (FLED FROM THE QUEUE, BLOCK 5)');
    expect(text({ queueFill: 0, queueCapacity: 0 })).not.toMatch(/queue|oldest/);
  });

  test('has no line on repulsion for a run without', () => {
    const text = formatBlock(view({ report: stepReport(7, { repulsion: null }) }), 100).join('\n');
    expect(text).not.toMatch(/queue|pair distance/);
  });

  test('says when no step comes, by the measure of the steps', () => {
    const slow = stepReport(7, { stepSeconds: 4, waitSeconds: 0 });
    expect(formatLine(view({ sinceStep: 14 }))).toContain('no step for 14s');
    expect(formatLine(view({ sinceStep: 4 }))).not.toContain('no step');
    expect(formatLine(view({ report: slow, sinceStep: 14 }))).not.toContain('no step');
    expect(formatLine(view({ report: slow, sinceStep: 21 }))).toContain('no step for 21s');
  });

  test('says that this process has committed nothing so far, and nothing of commits where none are made', () => {
    expect(formatBlock(view({ commit: null }), 100).at(-1)).toBe('no commit since the start');
    expect(formatBlock(view({ commit: undefined }), 100).join('\n')).not.toContain('commit');
  });
});

test('the line for logs holds all of the block but the bar', () => {
  expect(formatLine(view())).toBe(
    formatBlock(view(), 1000)
      .join('  ')
      .replace(/ {2}\[.*?\]/, ''),
  );
});

test.each([
  [
    count,
    [
      [0, '0'],
      [999, '999'],
      [1000, '1,000'],
      [1234567, '1,234,567'],
      [-1234, '-1,234'],
      [Number.NaN, 'NaN'],
    ],
  ],
  [
    number,
    [
      [0, '0.000'],
      [0.21341, '0.2134'],
      [-2.5, '-2.500'],
      [0.0000213, '2.130e-5'],
      [1234.5, '1,235'],
      [999.96, '1000'],
      [123456789, '1.235e+8'],
      [Number.NEGATIVE_INFINITY, '-inf'],
    ],
  ],
  [
    duration,
    [
      [0, '0.00ms'],
      [0.0498, '49.8ms'],
      [1.25, '1.3s'],
      [9.97, '10s'],
      [59.6, '1m00s'],
      [192, '3m12s'],
      [3599.7, '1h00m'],
      [7500, '2h05m'],
      [273600, '3d04h'],
      [Number.NaN, 'NaN'],
    ],
  ],
  [
    bytes,
    [
      [0, '0B'],
      [999, '999B'],
      [1000, '1.00kB'],
      [999_600, '1.00MB'],
      [38_000_000, '38.0MB'],
      [2.5e12, '2.50TB'],
    ],
  ],
] as const)('%o writes numbers for people', (write, cases) => {
  for (const [value, text] of cases) expect(write(value)).toBe(text);
});
