import type { Engine, HostTensor } from '../engine/engine.ts';
import { sizeOf } from '../model/parameters.ts';
import { openSampler } from '../sampling/sampler.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import { trainLayout } from '../trainer/train-state.ts';
import type { ImageSet } from './image-set.ts';

export interface RunImagesSettings {
  readonly samples: number;
  /** Drawn in turn, so that each comes equally often. */
  readonly labels: readonly number[];
  readonly seed: number;
  /** With the share of all work that is done. */
  readonly onProgress?: (done: number) => void;
}

/** Numbers of images drawn at once, at most: 64 MB of them, and as much again of noise. */
const NUMBERS = 2 ** 24;

/** Images that a model draws, from flat weights (`trainLayout`), as the pipeline's `sampling` says. */
export function runImages(
  engine: Engine,
  pipeline: Pipeline,
  parameters: HostTensor,
  { samples, labels, seed, onProgress }: RunImagesSettings,
): ImageSet {
  const { model, sampling, transport } = pipeline;
  const atOnce = Math.max(100, Math.floor(NUMBERS / sizeOf(model.input) / 100) * 100);
  return {
    name: 'samples',
    shape: model.input,
    total: samples,
    async *chunks() {
      const layout = trainLayout(pipeline);
      const sampler = await openSampler(engine, { model, transport, sampling, parameters, layout });
      try {
        for (let first = 0; first < samples; first += atOnce) {
          const count = Math.min(atOnce, samples - first);
          const asked = Array.from({ length: count }, (_, i) => labels[(first + i) % labels.length]!);
          const { images } = await sampler.draw({
            ...{ seed, first, labels: asked },
            onProgress: (done) => onProgress?.((first + done * count) / samples),
          });
          yield { images, labels: Int32Array.from(asked) };
        }
      } finally {
        sampler.dispose();
      }
    },
  };
}
