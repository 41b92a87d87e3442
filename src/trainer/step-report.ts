import type { HostTensors } from '../engine/engine.ts';
import type { Pipeline } from './pipeline.ts';
import type { RepulsionReport, SpreadReport, StepReport } from './report.ts';
import { blocksOf, type RepulsionSettings } from './repulsion-settings.ts';
import { reportNames } from './train-step.ts';

/** The step's report out of the engine's outputs. `terms` are exact float32 values. */
export function stepReport(
  pipeline: Pipeline,
  outputs: HostTensors,
  about: Omit<StepReport, 'terms' | 'gradientNorm' | 'parameterNorm' | 'repulsion'>,
  queueFill: number,
): StepReport {
  const values = outputs['report'].data;
  const named = Object.fromEntries(reportNames(pipeline).map((name, i) => [name, values[i]]));
  const { repulsion } = pipeline.losses;
  const terms: Record<string, number> = { total: named['total'], flow: named['flow'] };
  for (const [name, value] of Object.entries(named)) if (/^repulsion(\.|$)/.test(name)) terms[name] = value;
  return {
    ...about,
    terms,
    gradientNorm: named['gradientNorm'],
    parameterNorm: named['parameterNorm'],
    repulsion: repulsion === null ? null : repulsionReport(named, queueFill, repulsion),
  };
}

function repulsionReport(
  named: Record<string, number>,
  queueFill: number,
  settings: RepulsionSettings,
): RepulsionReport {
  const several = blocksOf(settings).length > 1;
  const blocks = blocksOf(settings).map((block) => ({ block, ...spreadReport(named, several ? `.${block}` : '') }));
  const of = (name: keyof SpreadReport) => blocks.flatMap((report) => report[name] ?? []);
  return {
    queueFill,
    queueCapacity: settings.queue,
    ageMax: named['ageMax'] ?? 0,
    ageMean: named['ageMean'] ?? 0,
    drift: Math.max(...of('drift')),
    positiveDistance: blocks[0]!.positiveDistance === null ? null : Math.max(...of('positiveDistance')),
    shift: Math.max(...of('shift')),
    similarity: Math.min(...of('similarity')),
    pairDistance: Math.min(...of('pairDistance')),
    uniformity: Math.max(...of('uniformity')),
    blocks,
  };
}

/** Without a queue what tells of it is zero. */
function spreadReport(named: Record<string, number>, suffix: string): SpreadReport {
  return {
    drift: named[`drift${suffix}`] ?? 0,
    positiveDistance: named[`positiveDistance${suffix}`] ?? null,
    shift: named[`shift${suffix}`] ?? 0,
    similarity: named[`similarity${suffix}`] ?? 0,
    pairDistance: named[`pairDistance${suffix}`],
    uniformity: named[`uniformity${suffix}`],
  };
}
