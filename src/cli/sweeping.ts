import { availableParallelism } from 'node:os';
import type { EngineName } from '../engine/engine.ts';
import { EXIT } from '../errors.ts';
import { openLog } from '../log/open-log.ts';
import { parseGrid } from '../sweep/grid.ts';
import { type Metric, type RunResult, SHOWN } from '../sweep/results.ts';
import { textTable } from '../sweep/tables.ts';
import type { Console } from './console.ts';
import { fillTopic } from './fill-topic.ts';
import { interruption } from './interruption.ts';
import { statusLine } from './status-line.ts';
import { runSweepCommand } from './sweep-command.ts';
import { evaluated, evaluateOne } from './sweep-evaluation.ts';
import { evaluationOf, resolvedRuns } from './sweep-plan.ts';
import { runLine, watchProgress } from './sweep-progress.ts';
import { forMachines, sweepResult, WINDOW, writeReports } from './sweep-report.ts';
import { finishedRun, resultOf, type SweepRun } from './sweep-run.ts';

export interface SweepOptions {
  readonly set?: string[];
  readonly seeds: number;
  readonly steps?: number;
  readonly log?: string;
  readonly topic?: string[];
  readonly metrics?: readonly Metric[];
  readonly against?: string;
  readonly samples: number;
  readonly extractor: string;
  readonly out?: string;
  readonly jobs: number;
  readonly engine: EngineName | 'auto';
  readonly threads?: number;
  readonly json?: boolean;
}

/** What `repulsor sweep` does with its settings; the exit status. */
export async function runSweep(file: string, options: SweepOptions, console: Console): Promise<number> {
  const grid = parseGrid(options.set ?? []);
  const { base, runs, out, flags } = await resolvedRuns(file, grid, options);
  // The extractor that comes with this package knows digits alone.
  const shown = options.metrics ?? (base.source.ingest === 'digits' ? [...SHOWN, 'fid' as const] : SHOWN);
  const evaluation = evaluationOf(shown, base, options);
  const line = statusLine(console.json);
  const interrupt = interruption('stopping each run with a commit; the same command goes on', line.note, 500);
  const log = await openLog(base.log);
  const results = new Map<string, RunResult>();
  /** All of a run's result that is there without doing anything. */
  const found = async (run: SweepRun): Promise<RunResult | null> => {
    const trained = await finishedRun(run, WINDOW);
    return trained === null || evaluation === null ? trained : evaluated(trained, evaluation);
  };
  try {
    for (const run of runs) {
      const result = await found(run);
      if (result !== null) results.set(run.name, result);
    }
    line.note(`${runs.length} runs in ${out}${results.size === 0 ? '' : `, ${results.size} of them done already`}`);
    await fillTopic(log, base, { note: line.note, warn: console.warn });
    const watch = watchProgress(log, runs, results, line);
    try {
      const left = runs.filter(({ name }) => !results.has(name));
      await inTurns(left, options.jobs, async (run) => {
        const result = await carriedOut(run);
        if (result === null) return;
        results.set(run.name, result);
        line.note(runLine(result, shown, results.size, runs.length));
      });
    } finally {
      watch.end();
    }
  } finally {
    line.end();
    interrupt.restore();
    await log.close();
  }
  const sweep = sweepResult({ name: base.name, file }, grid, runs, [...results.values()], shown);
  const files = await writeReports(out, sweep);
  const failed = [...results.values()].filter(({ error }) => error !== null);
  const missing = runs.length - results.size;
  console.result(
    { ...forMachines(sweep), done: results.size - failed.length, failed: failed.length, missing, ...files },
    [
      textTable(sweep),
      ...failed.map(({ name, error }) => `failed: ${name}: ${error}`),
      ...(missing > 0
        ? [`interrupted with ${missing} ${missing === 1 ? 'run' : 'runs'} to go: the same command goes on`]
        : []),
      `report: ${files.report}; ${files.csv}; ${files.results}`,
    ].join('\n'),
  );
  if (missing > 0) return EXIT.interrupted;
  return failed.length > 0 ? EXIT.failed : EXIT.done;

  /** Trains and evaluates what of the run is not done; null when it was interrupted. */
  async function carriedOut(run: SweepRun): Promise<RunResult | null> {
    const { signal } = interrupt;
    if (signal.aborted) return null;
    let trained = await finishedRun(run, WINDOW);
    if (trained === null) {
      const error = await runSweepCommand('train', trainArguments(file, run, flags, options), run.folder, signal);
      if (error !== null) return resultOf(run, 0, error);
      trained = await finishedRun(run, WINDOW);
    }
    if (trained === null || evaluation === null) return trained;
    if (signal.aborted) return null;
    const error = await evaluateOne(trained, evaluation, signal);
    if (error !== null) return { ...trained, error: `it was trained, but not evaluated: ${error}` };
    return evaluated(trained, evaluation);
  }
}

function trainArguments(file: string, run: SweepRun, flags: readonly string[], options: SweepOptions): string[] {
  const threads =
    options.threads ?? (options.jobs > 1 ? Math.max(1, Math.floor(availableParallelism() / options.jobs)) : null);
  const set = [...flags, ...run.overrides, 'metrics.port=0'].flatMap((override) => ['--set', override]);
  const own = ['--run', run.folder, '--engine', options.engine];
  return [file, ...own, ...(threads === null ? [] : ['--threads', `${threads}`]), ...set];
}

/** Up to `jobs` at a time, begun in their order. */
async function inTurns<T>(items: readonly T[], jobs: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(jobs, items.length) }, worker));
}
