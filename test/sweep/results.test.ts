import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { htmlReport } from '../../src/sweep/html-report.ts';
import { plot } from '../../src/sweep/plot.ts';
import { pointResults, type RunResult, type SweepResult, summary } from '../../src/sweep/results.ts';
import { csv, short, textTable } from '../../src/sweep/tables.ts';

const run = (
  queue: string,
  kind: string,
  seed: number,
  flow: number | null,
  more: Partial<RunResult> = {},
): RunResult => ({
  name: `queue-${queue}_kind-${kind}_seed-${seed}`,
  seed,
  values: [queue, kind],
  folder: `runs/s/queue-${queue}_kind-${kind}_seed-${seed}`,
  run: `digits.${queue}-0a`,
  steps: 12,
  metrics: { flow, pair_distance: 1.5, shift: queue === '0' ? null : 0.1 },
  error: null,
  ...more,
});
const runs = [
  run('0', 'l2', 0, 1),
  run('0', 'l2', 1, 2),
  run('0', 'l2', 2, 6),
  run('64', 'l2', 0, 4),
  run('64', 'l2', 1, null, {
    error: 'step 3 came to "numbers", that are not <finite>',
    metrics: {},
    steps: 0,
    run: null,
  }),
  run('64', 'hinge', 0, 5, { metrics: { flow: 5, pair_distance: 0.01, shift: 3.9 } }),
];
const shown = ['flow', 'pair_distance', 'shift'] as const;
const sweep: SweepResult = {
  version: '1',
  time: '2026-11-26T02:00:00.000Z',
  pipeline: { name: 'digits', file: 'pipelines/digits.ts' },
  axes: [
    { path: 'losses.repulsion.queue', values: ['0', '64'] },
    { path: 'losses.repulsion.form.kind', values: ['l2', 'hinge'] },
  ],
  fixed: [],
  seeds: [0, 1, 2],
  steps: 12,
  window: 12,
  shown,
  points: pointResults(runs, shown),
};

describe('mean and spread', () => {
  test('are those over the seeds, the spread with one degree of freedom taken', () => {
    expect(summary([1, 2, 6])).toEqual({ n: 3, mean: 3, sd: Math.sqrt(7), least: 1, most: 6 });
    expect(summary([4, null, undefined, Number.NaN])).toEqual({ n: 1, mean: 4, sd: null, least: 4, most: 4 });
    expect(summary([null])).toBe(null);
  });

  test('do not depend on the order, and lie between the least and the most', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 2 }), (values) => {
        const { mean, sd, least, most } = summary(values)!;
        const back = summary([...values].reverse())!;
        expect(back.mean).toBeCloseTo(mean, 5);
        expect(mean).toBeGreaterThanOrEqual(least - 1e-6);
        expect(mean).toBeLessThanOrEqual(most + 1e-6);
        expect(sd).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

test('the table has a line for each combination, and counts the runs that have a result', () => {
  const lines = textTable(sweep)
    .split('\n')
    .map((line) => line.split(/ {2,}/));
  expect(lines).toEqual([
    ['queue', 'kind', 'runs', 'flow', 'pair_distance', 'shift'],
    ['0', 'l2', '3/3', '3 ±2.6', '1.5 ±0', '-'],
    ['64', 'l2', '1/3', '4', '1.5', '0.1'],
    ['64', 'hinge', '1/3', '5', '0.01', '3.9'],
  ]);
});

test('the CSV has a line for each run, and quotes what would break it', () => {
  const lines = csv(sweep).split('\r\n');
  expect(lines).toHaveLength(runs.length + 2);
  expect(lines[0]).toBe(
    'name,losses.repulsion.queue,losses.repulsion.form.kind,seed,run,folder,steps,flow,pair_distance,shift,error',
  );
  expect(lines[1]).toBe('queue-0_kind-l2_seed-0,0,l2,0,digits.0-0a,runs/s/queue-0_kind-l2_seed-0,12,1,1.5,,');
  expect(lines[5]).toContain('"step 3 came to ""numbers"", that are not <finite>"');
});

test('numbers are short: four digits that count', () => {
  expect([0, 1, 0.123456, 123456, -1e-9].map(short)).toEqual(['0', '1', '0.1235', '123500', '-1e-9']);
});

describe('the plot', () => {
  /** Where the runs lie: from above, less is lower. */
  const dots = (svg: string) =>
    [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [Number(x), Number(y)]);

  test('has a dot for each run at its height, and a line through the means of each series', () => {
    const svg = plot(sweep, 'flow')!;
    const found = dots(svg);
    expect(found).toHaveLength(5);
    const [one, two, six] = found.map(([, y]) => y!);
    expect((one! - two!) * 4).toBeCloseTo(two! - six!, 0);
    expect(svg.match(/<polyline/g)).toHaveLength(2);
    expect(new Set(found.slice(0, 3).map(([x]) => x)).size).toBe(1);
    for (const [x, y] of found) {
      expect(x).toBeGreaterThan(64);
      expect(x).toBeLessThan(520);
      expect(y).toBeGreaterThanOrEqual(12);
      expect(y).toBeLessThanOrEqual(216);
    }
  });

  test('has no line where the values have no order', () => {
    const kinds = { axes: [sweep.axes[1]!], points: sweep.points.map((p) => ({ ...p, values: [p.values[1]!] })) };
    expect(plot(kinds, 'flow')).not.toContain('<polyline');
  });

  test('is none where no run has the metric, and stands where all runs agree', () => {
    expect(plot(sweep, 'drift')).toBe(null);
    const same = pointResults([run('0', 'l2', 0, 2), run('0', 'l2', 1, 2)], ['flow']);
    expect(plot({ axes: sweep.axes, points: same }, 'flow')).not.toMatch(/NaN|Infinity/);
    const zeros = pointResults([run('0', 'l2', 0, 0)], ['flow']);
    expect(plot({ axes: sweep.axes, points: zeros }, 'flow')).not.toMatch(/NaN|Infinity/);
  });
});

test('the report names first what failed and whose batch escaped, and escapes what it quotes', () => {
  const html = htmlReport(sweep);
  expect(html).toContain('that are not &lt;finite&gt;');
  expect(html).not.toContain('<finite>');
  expect(html).toContain('its batch has fled from its queue: shift 3.9');
  expect(html.indexOf('Look at these first')).toBeLessThan(html.indexOf('<figure>'));
  expect(html.match(/<figure>/g)).toHaveLength(3);
  expect(html).toContain('3 ±2.6');
  const healthy = { ...sweep, points: pointResults(runs.slice(0, 3), shown) };
  expect(htmlReport(healthy)).not.toContain('Look at these first');
});
