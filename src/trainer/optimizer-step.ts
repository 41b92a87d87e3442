import type { Scalar, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensors } from '../engine/engine.ts';
import { fusedUpdate } from '../engine/fused.ts';
import { adamwUpdate } from '../optim/adamw.ts';
import { clipByNorm } from '../optim/clip.ts';
import { emaUpdate } from '../optim/ema.ts';
import type { Pipeline } from './pipeline.ts';

/**
 * The new `params`, `adam.m`, `adam.v`, `ema` and (with momentum keys) `slow`: AdamW on the clipped gradient, then the averages
 * that follow the new parameters. One op that reads each flat vector once and writes it where it lies (an engine that can),
 * where each formula by itself would be several passes and a new vector each.
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
  const inputs = [gradient, gradientNorm, learningRate, step];
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
