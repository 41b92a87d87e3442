import type { Scalar, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensors } from '../engine/engine.ts';
import { fused } from '../engine/fused.ts';
import { adamwUpdate } from '../optim/adamw.ts';
import { clipByNorm } from '../optim/clip.ts';
import { emaUpdate } from '../optim/ema.ts';
import type { Pipeline } from './pipeline.ts';

/**
 * The new `params`, `adam.m`, `adam.v`, `ema` and (with momentum keys) `slow`: AdamW on the clipped gradient, then the averages
 * that follow the new parameters. One op over the flat vectors, where each formula by itself would be several passes.
 */
export function optimizerStep(
  { optimizer, losses }: Pipeline,
  state: Tensors,
  gradient: Tensor1D,
  gradientNorm: Scalar,
  learningRate: Scalar,
  step: Scalar,
): Tensors {
  const names = ['params', 'adam.m', 'adam.v', 'ema', ...('slow' in state ? ['slow'] : [])];
  const vectors = names.map((name) => state[name]!);
  const updated = fused('optimizer', [gradient, gradientNorm, learningRate, step, ...vectors], (...all) => {
    const [g, length, rate, count, params, m, v, ema, slow] = all as [Tensor1D, Scalar, Scalar, Scalar, ...Tensor1D[]];
    const clipped = clipByNorm(g, length, optimizer.clip);
    const next = adamwUpdate(clipped, { m: m!, v: v! }, params!, rate, tf.cast(count, 'float32'), optimizer);
    const averages = [emaUpdate(ema!, next.parameters, optimizer.ema)];
    if (slow !== undefined) averages.push(emaUpdate(slow, next.parameters, losses.repulsion?.keyMomentum ?? 0));
    return [next.parameters, next.state.m, next.state.v, ...averages];
  });
  return Object.fromEntries(names.map((name, i) => [name, updated[i]!]));
}
