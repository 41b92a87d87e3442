import type { Headroom } from '../../src/trainer/headroom.ts';
import type { CommitReport, EvaluationReport, StepReport } from '../../src/trainer/report.ts';

const SPREAD = {
  drift: 0.02,
  positiveDistance: 0.3,
  shift: 0.1,
  similarity: 0.05,
  pairDistance: 1.9,
  uniformity: -2.5,
};

/** A step's report with plausible numbers; `changes` replaces some. */
export function stepReport(step: number, changes: Partial<StepReport> = {}): StepReport {
  const flow = 0.2 + 1 / step;
  return {
    step,
    terms: { total: flow + 0.01, flow, repulsion: 0.01 },
    gradientNorm: 0.8,
    parameterNorm: 41.5,
    learningRate: 4e-3,
    samples: 32,
    archived: 8,
    streamShift: 0.9,
    stepSeconds: 0.05,
    waitSeconds: 0.01,
    repulsion: {
      queueFill: Math.min(4096, step * 32),
      queueCapacity: 4096,
      ageMax: Math.min(step, 128),
      ageMean: Math.min(step, 128) / 2,
      ...SPREAD,
      blocks: [{ block: 1, ...SPREAD }],
    },
    ...changes,
  };
}

/** A commit's report at `step`, of batches of 32. */
export function commitReport(step: number, generation: number, changes: Partial<CommitReport> = {}): CommitReport {
  return {
    step,
    generation,
    samples: step * 32,
    seconds: 0.4,
    stallSeconds: 0.02,
    bytesWritten: 38_000_000,
    ...changes,
  };
}

/** What the features of the weights of `step` are like. */
export function evaluationReport(step: number): EvaluationReport {
  const accuracies = { knnAccuracy: 0.8, linearProbe: 0.85 };
  return { step, alignment: 0.2, uniformity: -2, effectiveRank: 20, ...accuracies, images: 512, seconds: 1.5 };
}

/** How far retention is from what a resume needs of a partition. */
export function headroomReport(): Headroom {
  return {
    topic: 'images',
    partition: 0,
    need: 'resume',
    offset: 88,
    records: 12,
    seconds: 3600,
    bytes: 1e6,
    share: 0.5,
  };
}
