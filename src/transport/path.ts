import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * What a path is at one time. The last two are 1/alpha times alpha', and the factor that turns a score into a velocity:
 * v = ratio x + lambda s, with lambda = sigma (ratio sigma - sigma') (Ma et al. 2024, section 2.3).
 */
export interface Coefficients<T> {
  /** Of the data. */
  readonly alpha: T;
  /** Of the noise. */
  readonly sigma: T;
  /** Their derivatives in t. */
  readonly dAlpha: T;
  readonly dSigma: T;
  /** alpha' / alpha: infinite where alpha is 0. */
  readonly ratio: T;
  readonly lambda: T;
}

/**
 * Interpolant between noise x0 (t = 0) and data x1 (t = 1): x_t = alpha(t) x1 + sigma(t) x0, whose velocity is
 * u = alpha'(t) x1 + sigma'(t) x0 (Albergo and Vanden-Eijnden 2023; Ma et al. 2024, eq. 1 and 3).
 * Twice the same formulas: in float64 for the samplers, which sum on the host, and in tensors for the train step, which
 * draws its times on the device.
 */
export interface Path {
  at(t: number): Coefficients<number>;
  /** t: (B). All (B). */
  of(t: Tensor1D): Coefficients<Tensor>;
  /** x0, x1: (B, H, W, C); t: (B). Returns x_t and its velocity u, both (B, H, W, C). */
  plan(x0: Tensor, x1: Tensor, t: Tensor1D): { xt: Tensor; velocity: Tensor };
}

/** One number a sample, shaped to multiply images: (B) -> (B, 1, 1, 1). */
export function overImages(perSample: Tensor, rank: number): Tensor {
  return tf.reshape(perSample, [-1, ...Array<number>(rank - 1).fill(1)]);
}

/** `Path.plan` of any coefficients. */
export function plan(of: Path['of'], x0: Tensor, x1: Tensor, t: Tensor1D): { xt: Tensor; velocity: Tensor } {
  const { alpha, sigma, dAlpha, dSigma } = of(t);
  const mix = (a: Tensor, b: Tensor) => tf.add(tf.mul(overImages(a, x1.rank), x1), tf.mul(overImages(b, x1.rank), x0));
  return { xt: mix(alpha, sigma), velocity: mix(dAlpha, dSigma) };
}
