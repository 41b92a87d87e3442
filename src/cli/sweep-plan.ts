import { join } from 'node:path';
import { RepulsorError } from '../errors.ts';
import { type Grid, gridRuns } from '../sweep/grid.ts';
import type { Metric } from '../sweep/results.ts';
import { type Pipeline, topicsOf } from '../trainer/pipeline.ts';
import { asOverrides, loadPipeline } from './load-pipeline.ts';
import { evaluationMetrics, type SweepEvaluation } from './sweep-evaluation.ts';
import type { SweepRun } from './sweep-run.ts';
import type { SweepOptions } from './sweeping.ts';

/** Null where no metric needs it. @throws RepulsorError USAGE when it is not clear against what */
export function evaluationOf(shown: readonly Metric[], base: Pipeline, options: SweepOptions): SweepEvaluation | null {
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
export async function resolvedRuns(file: string, grid: Grid, options: SweepOptions) {
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
