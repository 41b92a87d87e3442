import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Interpolant between noise x0 (t = 0) and data x1 (t = 1): x_t = alpha(t) x1 + sigma(t) x0, whose velocity is
 * u = alpha'(t) x1 + sigma'(t) x0 (Albergo and Vanden-Eijnden 2023; Ma et al. 2024, eq. 1 and 3).
 */
export interface Path {
  readonly name: string;
  /** x0, x1: (B, H, W, C); t: (B). Returns x_t and its velocity u, both (B, H, W, C). */
  plan(x0: Tensor, x1: Tensor, t: Tensor1D): { xt: Tensor; velocity: Tensor };
}

/** The linear path: x_t = t x1 + (1 - t) x0, u = x1 - x0. */
export const linearPath: Path = {
  name: 'linear',
  plan(x0, x1, t) {
    const velocity = tf.sub(x1, x0);
    const time = tf.reshape(t, [-1, ...Array<number>(x1.rank - 1).fill(1)]);
    return { xt: tf.add(x0, tf.mul(time, velocity)), velocity };
  },
};
