import type { Scalar, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensors } from '../engine/engine.ts';
import { fusedUpdate } from '../engine/fused.ts';
import { adamwUpdate } from '../optim/adamw.ts';
import { clipByNorm } from '../optim/clip.ts';
import { emaUpdate } from '../optim/ema.ts';
import { halfName } from './halves.ts';
import type { Pipeline } from './pipeline.ts';

/**
 * The new `params`, `adam.m`, `adam.v`, `ema` and (with momentum keys) `slow`: AdamW on the clipped gradient, then the averages
 * that follow the new parameters. Of each half one op, which reads every vector once and writes it where it lies (an engine that
 * can), where each formula by itself would be several passes and a new vector each.
 */
export function optimizerStep(
  pipeline: Pipeline,
  state: Tensors,
  gradients: readonly Tensor1D[],
  gradientNorm: Scalar,
  learningRate: Scalar,
  step: Scalar,
): Tensors {
  const next: Tensors = {};
  for (const [half, gradient] of gradients.entries())
    Object.assign(next, stepOfHalf(pipeline, state, half, gradient, gradientNorm, learningRate, step));
  return next;
}

function stepOfHalf(
  { optimizer, losses }: Pipeline,
  state: Tensors,
  half: number,
  ...inputs: [gradient: Tensor1D, gradientNorm: Scalar, learningRate: Scalar, step: Scalar]
): Tensors {
  const vectors = ['params', 'adam.m', 'adam.v', 'ema', ...(halfName('slow', half) in state ? ['slow'] : [])];
  const names = vectors.map((vector) => halfName(vector, half));
  const before = names.map((name) => state[name]!);
  const next = fusedUpdate('optimizer', before, inputs, (...all) => {
    const [params, m, v, ...averages] = all.slice(0, names.length) as Tensor1D[];
    const [g, length, rate, count] = all.slice(names.length) as [Tensor1D, Scalar, Scalar, Scalar];
    const clipped = clipByNorm(g, length, optimizer.clip);
    const moved = adamwUpdate(clipped, { m: m!, v: v! }, params!, rate, tf.cast(count, 'float32'), optimizer);
    const decays = [optimizer.ema, losses.repulsion?.keyMomentum ?? 0];
    const followed = averages.map((average, i) => emaUpdate(average, moved.parameters, decays[i]!));
    return [moved.parameters, moved.state.m, moved.state.v, ...followed];
  });
  return Object.fromEntries(names.map((name, i) => [name, next[i]!]));
}
