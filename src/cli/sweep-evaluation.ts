import { isSampleMetric } from '../evaluation/measure.ts';
import { type EvaluationMetric, isEvaluation, type Metric, type RunResult } from '../sweep/results.ts';
import type { EvaluateMetric } from './evaluate.ts';
import { lastSaid, runSweepCommand } from './sweep-command.ts';

/** How the runs of a sweep are evaluated. */
export interface SweepEvaluation {
  readonly against: string;
  readonly samples: number;
  readonly extractor: string;
  readonly metrics: readonly EvaluationMetric[];
  readonly engine: string;
  /** Where it is not the runs' own. */
  readonly log: string | null;
}

/** By what `repulsor evaluate --metrics` calls them. */
const ASKED: Record<EvaluationMetric, EvaluateMetric> = {
  fid: 'fid',
  kid: 'kid',
  precision: 'prdc',
  recall: 'prdc',
  density: 'prdc',
  coverage: 'prdc',
  inception_score: 'is',
  accuracy: 'accuracy',
  knn_accuracy: 'knn_accuracy',
  linear_probe: 'linear_probe',
  effective_rank: 'effective_rank',
  alignment: 'alignment',
};

export const evaluationMetrics = (metrics: readonly Metric[]): EvaluationMetric[] => metrics.filter(isEvaluation);

/** The run with what was measured of its last commit; null where that is still to be done. */
export async function evaluated(result: RunResult, how: SweepEvaluation): Promise<RunResult | null> {
  const draws = how.metrics.some((metric) => isSampleMetric(ASKED[metric]));
  const said = await lastSaid(
    result.folder,
    'evaluate',
    (of) =>
      of['step'] === result.steps &&
      (!draws ||
        (of['reference'] === how.against && of['samples'] === how.samples && of['extractor'] === how.extractor)) &&
      how.metrics.every((metric) => typeof of[metric] === 'number'),
  );
  if (said === null) return null;
  const measures = Object.fromEntries(how.metrics.map((metric) => [metric, said[metric] as number]));
  return { ...result, metrics: { ...result.metrics, ...measures } };
}

/** Draws from the run and measures it. Returns what went wrong, or null. */
export function evaluateOne({ folder }: RunResult, how: SweepEvaluation, signal: AbortSignal): Promise<string | null> {
  const asked = [...new Set(how.metrics.map((metric) => ASKED[metric]))].join(',');
  const what = ['--against', how.against, '--samples', `${how.samples}`, '--metrics', asked];
  const by = ['--extractor', how.extractor, '--engine', how.engine, ...(how.log === null ? [] : ['--log', how.log])];
  return runSweepCommand('evaluate', [folder, ...what, ...by], folder, signal);
}
