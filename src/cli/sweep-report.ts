import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RepulsorError } from '../errors.ts';
import type { Grid } from '../sweep/grid.ts';
import { htmlReport } from '../sweep/html-report.ts';
import { type Metric, pointResults, type RunResult, type SweepResult } from '../sweep/results.ts';
import { csv } from '../sweep/tables.ts';
import { VERSION } from '../version.ts';
import type { SweepRun } from './sweep-run.ts';

/** Losses are the mean over so many last steps. */
export const WINDOW = 100;

/** The results of a sweep, in the order of its grid. */
export function sweepResult(
  pipeline: SweepResult['pipeline'],
  grid: Grid,
  runs: readonly SweepRun[],
  results: readonly RunResult[],
  shown: readonly Metric[],
): SweepResult {
  const order = new Map(runs.map(({ name }, i) => [name, i]));
  const inOrder = [...results].sort((a, b) => order.get(a.name)! - order.get(b.name)!);
  const { steps } = runs[0]!.pipeline;
  return {
    version: VERSION,
    time: new Date().toISOString(),
    pipeline,
    axes: grid.axes,
    fixed: grid.fixed,
    seeds: [...new Set(runs.map(({ seed }) => seed))],
    steps,
    window: Math.min(WINDOW, steps ?? WINDOW),
    shown,
    points: pointResults(inOrder, shown),
  };
}

/** Each point's settings by their paths. */
export function forMachines(sweep: SweepResult) {
  const settings = (values: readonly string[]) =>
    Object.fromEntries(values.map((value, i) => [sweep.axes[i]!.path, parsed(value)]));
  return {
    pipeline: sweep.pipeline,
    axes: sweep.axes.map(({ path, values }) => ({ path, values: values.map(parsed) })),
    fixed: sweep.fixed,
    seeds: sweep.seeds,
    steps: sweep.steps,
    window: sweep.window,
    points: sweep.points.map(({ values, runs, metrics }) => ({
      settings: settings(values),
      metrics,
      runs: runs.map(({ values: _, ...run }) => run),
    })),
  };
}

function parsed(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** The report, the table and the JSON in the sweep's folder. @throws RepulsorError STORE_FAILED */
export async function writeReports(out: string, sweep: SweepResult) {
  const files = { report: join(out, 'report.html'), csv: join(out, 'results.csv'), results: join(out, 'results.json') };
  try {
    await mkdir(out, { recursive: true });
    await writeFile(files.report, htmlReport(sweep));
    await writeFile(files.csv, csv(sweep));
    await writeFile(files.results, `${JSON.stringify(forMachines(sweep), null, 2)}\n`);
  } catch (cause) {
    throw new RepulsorError('STORE_FAILED', `the results in ${out} cannot be written: ${(cause as Error).message}`, {
      hint: 'the runs themselves are done; free room and run the same command again',
      cause,
    });
  }
  return files;
}
