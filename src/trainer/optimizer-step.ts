import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensors } from '../engine/engine.ts';
import { fused } from '../engine/fused.ts';
import { adamwUpdate } from '../optim/adamw.ts';
import { clipByNorm } from '../optim/clip.ts';
import { emaUpdate } from '../optim/ema.ts';
import type { Pipeline } from './pipeline.ts';

/**
 * The new `params`, `adam.m`, `adam.v`, `ema` and (with momentum keys) `slow`: AdamW on the clipped gradient, then the averages
 * that follow the new parameters. An op each over the flat vectors, where each formula by itself would be several passes. The averages
 * need nothing of each other, and are computed beside each other where there are threads.
 */
export function optimizerStep(
  { optimizer, losses }: Pipeline,
  state: Tensors,
  gradient: Tensor1D,
  gradientNorm: Scalar,
  learningRate: Scalar,
  step: Scalar,
): Tensors {
  const moments = [state['params']!, state['adam.m']!, state['adam.v']!];
  const [params, m, v] = fused('adamw', [gradient, gradientNorm, learningRate, step, ...moments], (...all) => {
    const [g, length, rate, count, before, first, second] = all as [Tensor1D, Scalar, Scalar, Scalar, ...Tensor1D[]];
    const clipped = clipByNorm(g, length, optimizer.clip);
    const next = adamwUpdate(clipped, { m: first!, v: second! }, before!, rate, tf.cast(count, 'float32'), optimizer);
    return [next.parameters, next.state.m, next.state.v];
  });
  const follow = (name: string, decay: number): Tensor =>
    fused(name, [state[name]!, params!], (average, now) => [
      emaUpdate(average as Tensor1D, now as Tensor1D, decay),
    ])[0]!;
  const next: Tensors = { params: params!, 'adam.m': m!, 'adam.v': v!, ema: follow('ema', optimizer.ema) };
  if ('slow' in state) next['slow'] = follow('slow', losses.repulsion?.keyMomentum ?? 0);
  return next;
}
