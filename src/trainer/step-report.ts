import type { HostTensors } from '../engine/engine.ts';
import type { Pipeline } from './pipeline.ts';
import type { RepulsionReport, StepReport } from './report.ts';
import { reportNames } from './train-step.ts';

/** The step's report out of the engine's outputs. `terms` are exact float32 values. */
export function stepReport(
  pipeline: Pipeline,
  outputs: HostTensors,
  about: Pick<StepReport, 'step' | 'learningRate' | 'samples' | 'stepSeconds' | 'waitSeconds'>,
  queueFill: number,
): StepReport {
  const values = outputs['report'].data;
  const named = Object.fromEntries(reportNames(pipeline).map((name, i) => [name, values[i]]));
  const { repulsion } = pipeline.losses;
  const terms: Record<string, number> = { total: named['total'], flow: named['flow'] };
  if (repulsion !== null) terms['repulsion'] = named['repulsion'];
  return {
    ...about,
    terms,
    gradientNorm: named['gradientNorm'],
    parameterNorm: named['parameterNorm'],
    repulsion: repulsion === null ? null : repulsionReport(named, queueFill, repulsion.queue),
  };
}

/** Without a queue what tells of it is zero. */
function repulsionReport(named: Record<string, number>, queueFill: number, queueCapacity: number): RepulsionReport {
  return {
    queueFill,
    queueCapacity,
    ageMax: named['ageMax'] ?? 0,
    ageMean: named['ageMean'] ?? 0,
    drift: named['drift'] ?? 0,
    shift: named['shift'] ?? 0,
    similarity: named['similarity'] ?? 0,
    pairDistance: named['pairDistance'],
    uniformity: named['uniformity'],
  };
}
