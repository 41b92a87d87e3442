import type { Engine, HostTensor } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import { trainLayout } from '../trainer/train-state.ts';
import { writeGrid } from './grid.ts';
import { sample } from './sampler.ts';

/** What to draw; all else is as the pipeline says. */
export interface GridOptions {
  /** One row each. Default: every class once. */
  readonly labels?: readonly number[];
  /** Images in a row. */
  readonly perLabel?: number;
  readonly solver?: 'euler' | 'heun';
  readonly steps?: number;
  readonly guidance?: number;
  readonly seed?: number;
}

/**
 * Samples from flat weights (laid out by `trainLayout`) and writes them as a PNG with one row a label.
 * `onTenth` is called at each tenth of the work. @throws RepulsorError USAGE for a class that the model does not know
 */
export async function drawGrid(
  engine: Engine,
  pipeline: Pipeline,
  parameters: HostTensor,
  out: string,
  options: GridOptions,
  onTenth: (done: number) => void,
): Promise<{ images: number; solver: string; steps: number; guidance: number; seed: number }> {
  const { model, sampling } = pipeline;
  const labels = options.labels ?? Array.from({ length: model.classes }, (_, i) => i);
  const unknown = labels.find((label) => label >= model.classes);
  if (unknown !== undefined)
    throw new RepulsorError('USAGE', `there is no class ${unknown}: the model knows 0 to ${model.classes - 1}`, {
      hint: `for example: --labels 0-${model.classes - 1}`,
    });
  const perLabel = options.perLabel ?? sampling.perLabel;
  const settings = {
    solver: options.solver ?? sampling.solver,
    steps: options.steps ?? sampling.steps,
    guidance: options.guidance ?? sampling.guidance,
    seed: options.seed ?? 0,
  };
  let told = 0;
  const images = await sample(engine, {
    ...settings,
    model,
    layout: trainLayout(pipeline),
    parameters,
    labels: labels.flatMap((label) => Array<number>(perLabel).fill(label)),
    onProgress: (done) => {
      if (Math.floor(done * 10) === told) return;
      told = Math.floor(done * 10);
      onTenth(told / 10);
    },
  });
  await writeGrid(out, images, { shape: model.input, columns: perLabel });
  return { images: labels.length * perLabel, ...settings };
}
