import type { Axis } from './grid.ts';

/** What training tells of a run. */
const TRAINED = {
  flow: 'loss of the flow, mean over the last steps',
  repulsion: 'loss of the repulsion, mean over the last steps',
  pair_distance: 'mean squared distance of two projections of the batch; near 0 is collapse',
  uniformity: 'log mean exp(-2 d^2) over pairs of the batch; 0 is collapse',
  shift: 'squared distance of the batch from its queue; near 4 it has fled',
  total: 'loss that is minimised, mean over the last steps',
  similarity: 'mean cosine between the batch and its queue',
  drift: 'squared distance between projections and keys of the same inputs',
  positive_distance: 'squared distance between projections and keys of second views',
  images_per_second: 'while it trained, the last start alone',
} as const;

/** What `repulsor evaluate` measures of a run's last commit. */
const EVALUATED = {
  fid: 'distance of what the run draws from the reference; less is nearer',
  kid: 'the same by kernels, without bias; less is nearer',
  precision: 'share of what is drawn that lies among the reference',
  recall: 'share of the reference that lies among what is drawn',
  density: 'how deep among the reference what is drawn lies',
  coverage: 'share of the reference that something drawn lies near',
  inception_score: 'how distinct and how many the classes are that the extractor tells',
  accuracy: 'share of what is drawn that is told as what it was asked for',
  knn_accuracy: 'share of images told by their nearest others, by features of a block',
  linear_probe: 'share of images told by a linear map of features of a block',
  effective_rank: 'dimensions that features of a block fill',
  alignment: 'squared distance of features of one image under two draws of noise',
} as const;
export type EvaluationMetric = keyof typeof EVALUATED;

export const METRICS = { ...TRAINED, ...EVALUATED };
export type Metric = keyof typeof METRICS;

export function isEvaluation(metric: Metric): metric is EvaluationMetric {
  return Object.hasOwn(EVALUATED, metric);
}

/** Where nothing else is asked for. */
export const SHOWN: readonly Metric[] = ['flow', 'repulsion', 'pair_distance', 'uniformity', 'shift'];

/** One run, once it has ended. */
export interface RunResult {
  readonly name: string;
  readonly seed: number;
  readonly values: readonly string[];
  /** The run folder. */
  readonly folder: string;
  /** Id of the run; null when it could not begin. */
  readonly run: string | null;
  /** Steps committed. */
  readonly steps: number;
  /** By metric; null where the run has none such. */
  readonly metrics: Readonly<Partial<Record<Metric, number | null>>>;
  /** Why it has no result, or not all of it; null when it has. */
  readonly error: string | null;
}

/** Mean and spread of one metric over the seeds of one point. */
export interface Summary {
  /** Runs that have it. */
  readonly n: number;
  readonly mean: number;
  /** Sample standard deviation, over n - 1; null for one run. */
  readonly sd: number | null;
  readonly least: number;
  readonly most: number;
}

/** One combination of the axes' values. */
export interface PointResult {
  readonly values: readonly string[];
  readonly runs: readonly RunResult[];
  readonly metrics: Readonly<Partial<Record<Metric, Summary>>>;
}

export interface SweepResult {
  readonly version: string;
  readonly time: string;
  readonly pipeline: { readonly name: string; readonly file: string };
  readonly axes: readonly Axis[];
  readonly fixed: readonly string[];
  readonly seeds: readonly number[];
  /** Steps of each run; null where each goes on to the end of its topic. */
  readonly steps: number | null;
  /** Last steps that losses are the mean of. */
  readonly window: number;
  readonly shown: readonly Metric[];
  readonly points: readonly PointResult[];
}

/** null where no run has a finite number. */
export function summary(values: readonly (number | null | undefined)[]): Summary | null {
  const all = values.filter((value): value is number => typeof value === 'number' && Number.isFinite(value));
  const n = all.length;
  if (n === 0) return null;
  const mean = all.reduce((a, b) => a + b) / n;
  const sd = n === 1 ? null : Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1));
  return { n, mean, sd, least: Math.min(...all), most: Math.max(...all) };
}

/** Runs of one combination are put together, in the order in which they come. */
export function pointResults(runs: readonly RunResult[], shown: readonly Metric[]): PointResult[] {
  const points = new Map<string, RunResult[]>();
  for (const run of runs) {
    const key = JSON.stringify(run.values);
    points.set(key, [...(points.get(key) ?? []), run]);
  }
  return [...points.values()].map((of) => {
    const metrics: Partial<Record<Metric, Summary>> = {};
    for (const metric of shown) {
      const found = summary(of.map((run) => run.metrics[metric]));
      if (found !== null) metrics[metric] = found;
    }
    return { values: of[0]!.values, runs: of, metrics };
  });
}
