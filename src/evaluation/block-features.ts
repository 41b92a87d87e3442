import type { Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Engine, HostTensors } from '../engine/engine.ts';
import { runInBatches } from '../engine/run-in-batches.ts';
import { sizeOf } from '../model/parameters.ts';
import { nullClass, sitFeatures } from '../model/sit.ts';
import type { Features } from '../statistics/features.ts';
import { halfNames, halvesIn, inHalves, unpackHalves } from '../trainer/halves.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import { blocksOf } from '../trainer/repulsion-settings.ts';
import { trainLayout } from '../trainer/train-state.ts';
import { PATHS } from '../transport/transport.ts';
import type { ImageChunk } from './image-set.ts';

/** Images of one call, each seen twice. */
const BATCH = 64;

/** The block whose features are measured: the one that is set, or the first that repels, or the middle one. */
export function measuredBlock({ evaluation, losses, model }: Pipeline): number {
  if (evaluation.block !== null) return evaluation.block;
  return losses.repulsion === null ? Math.ceil(model.depth / 2) : blocksOf(losses.repulsion)[0]!;
}

/**
 * Makes features of a fixed set of images by one block of the network, as it sees them in training: each image noised to the
 * time `evaluation.time`, without its label, twice with noise that is always the same; the mean over the tokens. The caller disposes it.
 */
export async function openBlockFeatures(engine: Engine, pipeline: Pipeline, { images }: ImageChunk) {
  const { model, transport, evaluation, seed } = pipeline;
  const layout = trainLayout(pipeline);
  const block = measuredBlock(pipeline);
  const n = images.length / sizeOf(model.input);
  const program = await engine.compile({
    name: 'block-features',
    seed,
    state: inHalves('params', new Float32Array(layout.size), layout),
    inputs: { images: { shape: [BATCH, ...model.input], dtype: 'float32' } },
    fn: (state, inputs, random) => {
      const parameters = unpackHalves(halvesIn(state, 'params'), layout);
      const twice = tf.concat([inputs['images']!, inputs['images']!]);
      const noise = random.normal('evaluation', twice.shape);
      const t = tf.fill([2 * BATCH], evaluation.time) as Tensor1D;
      const labels = tf.fill([2 * BATCH], nullClass(model), 'int32') as Tensor1D;
      const { xt } = PATHS[transport.path].plan(noise, twice, t);
      const [features] = sitFeatures(parameters, model, { x: xt, t, labels }, [block]);
      const [first, second] = tf.split(tf.mean(features!, 1), 2);
      return { outputs: { first: first!, second: second! } };
    },
  });
  return {
    /** Of the halves of `params` as a train state holds them, among others; they may change once it resolves. */
    async of(state: HostTensors): Promise<{ readonly first: Features; readonly second: Features }> {
      await program.writeState(Object.fromEntries(halfNames('params').map((name) => [name, state[name]!])));
      const given = { images: { shape: [n, ...model.input], dtype: 'float32', data: images } } as const;
      const { first, second } = await runInBatches(program, given, BATCH);
      const shape = [n, model.width] as const;
      return {
        first: { shape, data: first!.data as Float32Array },
        second: { shape, data: second!.data as Float32Array },
      };
    },
    dispose: () => program.dispose(),
  };
}
