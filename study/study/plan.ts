import { join } from 'node:path';
import { loadPipeline } from '../../src/cli/load-pipeline.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import type { ImageSetOfStudy, SetName } from './sets.ts';
import type { Variant } from './variants.ts';

/** What one process trains and measures. Plain data: it is handed to it as text. */
export interface Task {
  readonly name: string;
  readonly set: SetName;
  readonly variant: string;
  readonly seed: number;
  readonly pipeline: string;
  readonly overrides: readonly string[];
  /** Of the run. */
  readonly folder: string;
  readonly steps: number;
  /** Steps after which it is measured; the last is the end. */
  readonly marks: readonly number[];
  readonly samples: number;
  /** Features of the images that are held out, and of those that are trained on, and the classifier that made them. */
  readonly heldOut: string;
  readonly trained: string;
  readonly classifier: string;
  readonly threads: number;
}

export interface PlanSettings {
  readonly out: string;
  readonly log: string;
  readonly seeds: number;
  readonly samples: number;
  readonly threads: number;
  readonly marks: number;
  readonly steps: Readonly<Record<SetName, number>>;
  /** Of the runs that have plain's time for a budget. */
  readonly equalTimeSteps: Readonly<Record<SetName, number>>;
}

/**
 * Every run in its order: tier by tier, in each seed by seed, in each variant by variant. Cut off anywhere, what there is
 * compares, but for the seed under way.
 */
export function planned(sets: readonly ImageSetOfStudy[], settings: PlanSettings): Task[] {
  const all = sets.flatMap((set) => set.variants.map((variant) => ({ set, variant })));
  const tiers = [...new Set(all.map(({ variant }) => variant.tier))].sort((a, b) => a - b);
  const seeds = Array.from({ length: settings.seeds }, (_, seed) => seed);
  return tiers.flatMap((tier) => {
    const of = all.filter(({ variant }) => variant.tier === tier);
    return seeds.flatMap((seed) => of.map(({ set, variant }) => taskOf(set, variant, seed, settings)));
  });
}

function taskOf(set: ImageSetOfStudy, variant: Variant, seed: number, settings: PlanSettings): Task {
  const { out, log, samples, threads } = settings;
  const name = `${set.name}-${variant.name}-${seed}`;
  const steps = (variant.budget === 'time' ? settings.equalTimeSteps : settings.steps)[set.name];
  const marks = marksOf(steps, settings.marks);
  const overrides = [
    ...variant.overrides,
    `name=${JSON.stringify(name)}`,
    `log=${JSON.stringify(log)}`,
    `seed=${seed}`,
    `steps=${steps}`,
    'commit.everySteps=300',
    'commit.everySeconds=600',
    'commit.keep.last=2',
    'evaluation.everySteps=null',
    'sampling.perLabel=0',
  ];
  return {
    ...{ name, set: set.name, variant: variant.name, seed, pipeline: set.pipeline, overrides, steps, marks },
    ...{ samples, threads, folder: join(out, name), ...featuresOf(set, out) },
  };
}

/** So many steps, evenly spaced, the last at the end. */
export function marksOf(steps: number, count: number): number[] {
  return [...new Set(Array.from({ length: count }, (_, i) => Math.max(1, Math.round((steps * (i + 1)) / count))))];
}

export function featuresOf(set: ImageSetOfStudy, out: string): Pick<Task, 'heldOut' | 'trained' | 'classifier'> {
  return {
    heldOut: join(out, `held-out-${set.name}.safetensors`),
    trained: join(out, `trained-${set.name}.safetensors`),
    classifier: set.classifier === 'digits' ? 'digits' : join(out, `classifier-${set.name}.safetensors`),
  };
}

export const pipelineOf = (task: Pick<Task, 'pipeline' | 'overrides'>): Promise<Pipeline> =>
  loadPipeline(task.pipeline, task.overrides);
