import type { Engine, HostTensor } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { sizeOf } from '../model/parameters.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import { trainLayout } from '../trainer/train-state.ts';
import { writeGrid } from './grid.ts';
import { type Samples, sample } from './sampler.ts';

/** What to draw; how, the pipeline's `sampling` says. */
export interface DrawOptions {
  /** Default: every class once. */
  readonly labels?: readonly number[];
  /** Images of each label, one after another. Default: the pipeline's, or as many as there is noise for. */
  readonly perLabel?: number;
  readonly seed?: number;
  /** What the images begin as, (n, H, W, C). Default: drawn from the seed. */
  readonly noise?: Float32Array;
}

export interface Drawing extends Samples {
  /** One an image. */
  readonly labels: readonly number[];
  readonly perLabel: number;
  readonly seed: number;
}

/**
 * Samples from flat weights (laid out by `trainLayout`). `onTenth` is called at each tenth of the work.
 * @throws RepulsorError USAGE for a class that the model does not know, or labels that do not fit the noise
 */
export async function draw(
  engine: Engine,
  pipeline: Pipeline,
  parameters: HostTensor,
  options: DrawOptions,
  onTenth: (done: number) => void,
): Promise<Drawing> {
  const { model, sampling, transport } = pipeline;
  const asked = options.labels ?? Array.from({ length: model.classes }, (_, i) => i);
  const unknown = asked.find((label) => label >= model.classes);
  if (unknown !== undefined)
    throw new RepulsorError('USAGE', `there is no class ${unknown}: the model knows 0 to ${model.classes - 1}`, {
      hint: `for example: --labels 0-${model.classes - 1}`,
    });
  const { noise, seed = 0 } = options;
  const given = noise && noise.length / sizeOf(model.input);
  const perLabel = options.perLabel ?? (given === undefined ? sampling.perLabel : given / asked.length);
  if (!Number.isInteger(perLabel) || (given ?? asked.length * perLabel) !== asked.length * perLabel)
    throw new RepulsorError('USAGE', `there is noise for ${given} images, and ${asked.length} labels were asked for`, {
      hint: 'give a label for each image, or for each so many with --per-label',
    });
  const labels = asked.flatMap((label) => Array<number>(perLabel).fill(label));
  let told = 0;
  const samples = await sample(engine, {
    ...{ model, transport, sampling, layout: trainLayout(pipeline), parameters, labels, seed },
    ...(noise && { noise }),
    onProgress: (done) => {
      if (Math.floor(done * 10) === told) return;
      told = Math.floor(done * 10);
      onTenth(told / 10);
    },
  });
  return { ...samples, labels, perLabel, seed };
}

/** Draws every class and writes a PNG with one row a label. @throws RepulsorError STORE_FAILED */
export async function drawGrid(engine: Engine, pipeline: Pipeline, parameters: HostTensor, out: string): Promise<void> {
  const { images, perLabel } = await draw(engine, pipeline, parameters, {}, () => {});
  await writeGrid(out, images, { shape: pipeline.model.input, columns: perLabel });
}
