import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { linear, linearSpecs } from '../model/linear.ts';
import type { ParameterSpec } from '../model/parameters.ts';
import { silu } from '../model/silu.ts';
import { unitRows } from './distances.ts';

export const POOLS = ['mean', 'max', 'flatten'] as const;
export const HEADS = ['mlp', 'mlp3', 'linear', 'identity'] as const;

/** How a block's activations become the vectors that repel each other. For training only: sampling never runs it. */
export interface ProjectionSettings {
  /** Mean or greatest over the tokens, or all of them side by side (the dispersive loss). */
  readonly pool: (typeof POOLS)[number];
  /**
   * mlp: Linear(pooled, D) - SiLU - Linear(D, dim); mlp3 has a second hidden layer, Linear(D, D) - SiLU; linear: Linear(pooled,
   * dim); identity: nothing.
   */
  readonly head: (typeof HEADS)[number];
  /** Width of the head's output; the identity keeps the pooled width. */
  readonly dim: number;
  /** Minus the batch's mean, before normalising: a guard against the whole batch drifting off together. */
  readonly centre: boolean;
  /** To unit length. */
  readonly normalize: boolean;
}

/** Width of the pooled activations of a model of `width` and `tokens`. */
function pooledDim(settings: ProjectionSettings, width: number, tokens: number): number {
  return settings.pool === 'flatten' ? width * tokens : width;
}

/** Widths of the head's layers, first input to last output; one width alone is no layer. */
function widths(settings: ProjectionSettings, width: number, tokens: number): number[] {
  const hidden = { mlp: [width], mlp3: [width, width], linear: [], identity: [] }[settings.head];
  const output = settings.head === 'identity' ? [] : [settings.dim];
  return [pooledDim(settings, width, tokens), ...hidden, ...output];
}

/** Parameters of the head of that name, for a model of `width` and `tokens`; none for the identity. */
export function projectionSpecs(
  settings: ProjectionSettings,
  width: number,
  tokens: number,
  head = 'head',
): ParameterSpec[] {
  const of = widths(settings, width, tokens);
  // Layers have even numbers, as in a PyTorch Sequential that counts the activations between them.
  return of.slice(1).flatMap((output, i) => linearSpecs(`${head}.${2 * i}`, of[i]!, output));
}

/** Width of the projected vectors, for a model of `width` and `tokens`. */
export function projectedDim(settings: ProjectionSettings, width: number, tokens: number): number {
  return widths(settings, width, tokens).at(-1)!;
}

/** features: (B, N, D) -> (B, d), by the parameters of the head of that name. */
export function project(
  features: Tensor,
  parameters: Record<string, Tensor>,
  settings: ProjectionSettings,
  head = 'head',
): Tensor2D {
  let z = pooled(features, settings.pool);
  const [, tokens, width] = features.shape as [number, number, number];
  const layers = widths(settings, width, tokens).length - 1;
  for (let i = 0; i < layers; i++) {
    const layer = `${head}.${2 * i}`;
    const [weight, bias] = [parameters[`${layer}.weight`], parameters[`${layer}.bias`]];
    // What is the same in all vectors goes with their mean: its gradient would be rounding, of which Adam makes whole steps.
    const isLost = settings.centre && i === layers - 1;
    z = linear(i === 0 ? z : silu(z), weight, isLost ? tf.zerosLike(bias) : bias) as Tensor2D;
  }
  if (settings.centre) z = tf.sub(z, tf.mean(z, 0, true));
  return settings.normalize ? unitRows(z) : z;
}

function pooled(features: Tensor, pool: ProjectionSettings['pool']): Tensor2D {
  if (pool === 'mean') return tf.mean(features, 1);
  if (pool === 'max') return tf.max(features, 1);
  return tf.reshape(features, [features.shape[0], -1]);
}
