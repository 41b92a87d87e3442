import type { Scalar, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/** AdamW (Loshchilov and Hutter 2019), over one flat vector of parameters. */
export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled: each step also multiplies the parameters by 1 - learningRate * weightDecay. */
  readonly weightDecay: number;
}

/** First and second moments, both the size of the parameters. */
export interface AdamWState {
  readonly m: Tensor1D;
  readonly v: Tensor1D;
}

/** Moments before the first step, on the host. */
export function adamwInit(size: number): { m: Float32Array; v: Float32Array } {
  return { m: new Float32Array(size), v: new Float32Array(size) };
}

/**
 * One update. `step` counts from 1, float32. The bias corrections 1 - beta^step are -expm1(step ln beta): in float32
 * 1 - 0.999 alone would lose five digits.
 */
export function adamwUpdate(
  gradient: Tensor1D,
  state: AdamWState,
  parameters: Tensor1D,
  learningRate: Scalar,
  step: Scalar,
  settings: AdamWSettings,
): { parameters: Tensor1D; state: AdamWState } {
  const { beta1, beta2, epsilon, weightDecay } = settings;
  const m = tf.add(tf.mul(state.m, beta1), tf.mul(gradient, 1 - beta1)) as Tensor1D;
  const v = tf.add(tf.mul(state.v, beta2), tf.mul(tf.square(gradient), 1 - beta2)) as Tensor1D;
  const correction1 = tf.neg(tf.expm1(tf.mul(step, Math.log(beta1))));
  const correction2 = tf.neg(tf.expm1(tf.mul(step, Math.log(beta2))));
  const denominator = tf.add(tf.mul(tf.sqrt(v), tf.rsqrt(correction2)), epsilon);
  const moved = tf.mul(tf.div(m, denominator), tf.div(learningRate, correction1));
  // Not parameters * (1 - rate * decay): in float32 that factor keeps 1e-6 to one digit, and loses 1e-8 whole.
  const change = weightDecay === 0 ? moved : tf.add(moved, tf.mul(parameters, tf.mul(learningRate, weightDecay)));
  return { parameters: tf.sub(parameters, change) as Tensor1D, state: { m, v } };
}
