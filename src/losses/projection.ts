import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { silu } from '../model/gelu.ts';
import { linear, linearSpecs } from '../model/linear.ts';
import type { ParameterSpec } from '../model/parameters.ts';

/** How a block's activations become the vectors that repel each other. For training only: sampling never runs it. */
export interface ProjectionSettings {
  /** Mean over the tokens, or all of them side by side (the dispersive loss). */
  readonly pool: 'mean' | 'flatten';
  /** Linear(pooled, D) - SiLU - Linear(D, dim), or nothing. */
  readonly head: 'mlp' | 'identity';
  /** Width of the MLP's output; the identity keeps the pooled width. */
  readonly dim: number;
  /** Minus the batch's mean, before normalising: a guard against the whole batch drifting off together. */
  readonly centre: boolean;
  /** To unit length. */
  readonly normalize: boolean;
}

/** Width of the pooled activations of a model of `width` and `tokens`. */
function pooledDim(settings: ProjectionSettings, width: number, tokens: number): number {
  return settings.pool === 'mean' ? width : width * tokens;
}

/** Parameters of the head, for a model of `width` and `tokens`; none for the identity. */
export function projectionSpecs(settings: ProjectionSettings, width: number, tokens: number): ParameterSpec[] {
  if (settings.head === 'identity') return [];
  return [
    ...linearSpecs('head.0', pooledDim(settings, width, tokens), width),
    ...linearSpecs('head.2', width, settings.dim),
  ];
}

/** Width of the projected vectors, for a model of `width` and `tokens`. */
export function projectedDim(settings: ProjectionSettings, width: number, tokens: number): number {
  return settings.head === 'mlp' ? settings.dim : pooledDim(settings, width, tokens);
}

/** features: (B, N, D) -> (B, d). */
export function project(features: Tensor, parameters: Record<string, Tensor>, settings: ProjectionSettings): Tensor2D {
  let z = (settings.pool === 'mean' ? tf.mean(features, 1) : tf.reshape(features, [features.shape[0], -1])) as Tensor2D;
  if (settings.head === 'mlp') {
    const hidden = silu(linear(z, parameters['head.0.weight'], parameters['head.0.bias']));
    z = linear(hidden, parameters['head.2.weight'], parameters['head.2.bias']) as Tensor2D;
  }
  if (settings.centre) z = tf.sub(z, tf.mean(z, 0, true));
  if (settings.normalize) z = tf.mul(z, tf.rsqrt(tf.add(tf.sum(tf.square(z), 1, true), 1e-12)));
  return z;
}
