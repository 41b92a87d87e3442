import { shortNames } from './grid.ts';
import type { Metric, RunResult, Summary, SweepResult } from './results.ts';

/** Four significant digits, as short as they are. */
export function short(value: number): string {
  return value === 0 ? '0' : `${Number(value.toPrecision(4))}`;
}

/** `mean +- sd`; a single run has no spread to show. */
export const meanAndSpread = ({ mean, sd }: Summary): string =>
  `${short(mean)}${sd === null ? '' : ` ±${short(Number(sd.toPrecision(2)))}`}`;

/** The table for a terminal: a line a point, mean and standard deviation over its seeds. */
export function textTable({ axes, points, shown, seeds }: SweepResult): string {
  const head = [...shortNames(axes.map(({ path }) => path)), 'runs', ...shown];
  const lines = points.map(({ values, runs, metrics }) => [
    ...values,
    `${runs.filter(({ error }) => error === null).length}/${seeds.length}`,
    ...shown.map((metric) => (metrics[metric] === undefined ? '-' : meanAndSpread(metrics[metric]))),
  ]);
  const widths = head.map((word, i) => Math.max(word.length, ...lines.map((line) => line[i]!.length)));
  return [head, ...lines]
    .map((line) =>
      line
        .map((word, i) => word.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** A line a run, as spreadsheets and data frames read it (RFC 4180). Numbers are whole, nothing rounded. */
export function csv({ axes, points, shown }: SweepResult): string {
  const head = ['name', ...axes.map(({ path }) => path), 'seed', 'run', 'folder', 'steps', ...shown, 'error'];
  const line = (run: RunResult) => [
    run.name,
    ...run.values,
    run.seed,
    run.run ?? '',
    run.folder,
    run.steps,
    ...shown.map((metric: Metric) => run.metrics[metric] ?? ''),
    run.error ?? '',
  ];
  const quoted = (field: string | number) =>
    /[",\r\n]/.test(`${field}`) ? `"${`${field}`.replaceAll('"', '""')}"` : `${field}`;
  return `${[head, ...points.flatMap(({ runs }) => runs.map(line))].map((row) => row.map(quoted).join(',')).join('\r\n')}\r\n`;
}
