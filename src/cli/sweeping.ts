import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { findRunFolder } from '../checkpoint/run-folder.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import type { EngineName } from '../engine/engine.ts';
import { EXIT, RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { openLog } from '../log/open-log.ts';
import { duration } from '../metrics/progress-format.ts';
import { type Grid, gridRuns, parseGrid } from '../sweep/grid.ts';
import { escaped, htmlReport } from '../sweep/html-report.ts';
import { type Metric, pointResults, type RunResult, SHOWN, type SweepResult } from '../sweep/results.ts';
import { csv, meanAndSpread, textTable } from '../sweep/tables.ts';
import { type Pipeline, topicsOf } from '../trainer/pipeline.ts';
import { VERSION } from '../version.ts';
import type { Console } from './console.ts';
import { fillTopic } from './fill-topic.ts';
import { interruption } from './interruption.ts';
import { asOverrides, loadPipeline } from './load-pipeline.ts';
import { type StatusLine, statusLine } from './status-line.ts';
import { runSweepCommand } from './sweep-command.ts';
import { evaluated, evaluateOne, evaluationMetrics, type SweepEvaluation } from './sweep-evaluation.ts';
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

/** Losses are the mean over so many last steps. */
const WINDOW = 100;

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

/** Null where no metric needs it. @throws RepulsorError USAGE when it is not clear against what */
function evaluationOf(shown: readonly Metric[], base: Pipeline, options: SweepOptions): SweepEvaluation | null {
  const metrics = evaluationMetrics(shown);
  if (metrics.length === 0) return null;
  const topics = topicsOf(base.source);
  const against = options.against ?? base.evaluation.topic ?? (topics.length === 1 ? topics[0]! : null);
  if (against === null)
    throw new RepulsorError(
      'USAGE',
      `the pipeline reads ${topics.join(' and ')}: against which are its runs evaluated?`,
      {
        hint: 'name a topic, a folder or a file of features with --against, or leave the metric out of --metrics',
      },
    );
  const { samples, extractor, engine, log = null } = options;
  return { against, samples, extractor, metrics, engine, log };
}

/** Every run with its settings checked, before the first is trained. @throws RepulsorError USAGE, CONFIG */
async function resolvedRuns(file: string, grid: Grid, options: SweepOptions) {
  const { log, topic, steps } = options;
  const flags = asOverrides({ log, 'source.topic': topic, steps });
  const base = await loadPipeline(file, [...flags, ...grid.fixed]);
  const out = options.out ?? join('runs', `sweep-${base.name}`);
  const runs: SweepRun[] = [];
  const refused: string[] = [];
  for (const run of gridRuns(grid, base.seed, options.seeds)) {
    const name = `${base.name}.${run.name}`.slice(0, 100);
    const overrides = [...run.overrides, `name=${JSON.stringify(name)}`, `seed=${run.seed}`];
    try {
      const pipeline = await loadPipeline(file, [...flags, ...overrides]);
      runs.push({ ...run, overrides, folder: join(out, run.name), pipeline });
    } catch (error) {
      if (!(error instanceof RepulsorError) || error.code !== 'CONFIG') throw error;
      const [, ...problems] = error.message.split('\n');
      for (const problem of problems) refused.push(`${run.values.join(', ')}:${problem.replace(/^ +/, ' ')}`);
    }
  }
  if (refused.length > 0)
    throw new RepulsorError('CONFIG', `not every run of the sweep can be: \n  ${[...new Set(refused)].join('\n  ')}`, {
      hint: 'leave these values out, or set what they need for all with --set; nothing was trained',
    });
  const { steps: all, source } = base;
  if (all === null && (source.follow || source.epochs === null))
    throw new RepulsorError('USAGE', `the runs of ${file} would never end`, {
      hint: 'give the steps of each run with --steps',
    });
  return { base, runs, out, flags };
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

/** A line that tells the committed steps of all runs, looked up in their journals now and then. */
function watchProgress(
  log: Log,
  runs: readonly SweepRun[],
  results: ReadonlyMap<string, RunResult>,
  line: StatusLine,
): { end(): void } {
  const total = runs.reduce((sum, { pipeline }) => sum + (pipeline.steps ?? 0), 0);
  const begun = performance.now();
  let first: number | null = null;
  let looking = false;
  const look = async () => {
    if (looking) return;
    looking = true;
    let steps = 0;
    for (const run of runs) steps += results.get(run.name)?.steps ?? (await committedSteps(log, run.folder));
    first ??= steps;
    const seconds = (performance.now() - begun) / 1000;
    const left = steps > first ? ((total - steps) * seconds) / (steps - first) : null;
    const ended = `${results.size} of ${runs.length} runs done`;
    line.status(`${ended}, step ${steps} of ${total}${left === null || left < 0 ? '' : `, ${duration(left)} left`}`);
    looking = false;
  };
  const timer = setInterval(() => void look().catch(() => undefined), 2_000);
  return { end: () => clearInterval(timer) };
}

async function committedSteps(log: Log, folder: string): Promise<number> {
  const run = await findRunFolder(folder).catch(() => null);
  if (run === null) return 0;
  const { journal } = runTopics(run.run);
  return (await log.topics()).includes(journal) ? (await log.offsets(journal, 0)).end : 0;
}

function runLine(result: RunResult, metrics: readonly Metric[], done: number, of: number): string {
  const count = `${done}/${of}`.padStart(2 * `${of}`.length + 1);
  if (result.error !== null) return `${count}  ${result.name}  failed: ${result.error}`;
  const values = metrics.flatMap((metric) => {
    const value = result.metrics[metric];
    return typeof value !== 'number'
      ? []
      : `${metric} ${meanAndSpread({ n: 1, mean: value, sd: null, least: value, most: value })}`;
  });
  const trap = escaped(result);
  return `${count}  ${result.name}  ${values.join('  ')}${trap === null ? '' : `  (${trap})`}`;
}

function sweepResult(
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
function forMachines(sweep: SweepResult) {
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

async function writeReports(out: string, sweep: SweepResult) {
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
