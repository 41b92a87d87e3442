import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { fused } from '../engine/fused.ts';

/** SiT's, added to the variance. */
const EPSILON = 1e-6;

/**
 * Layer normalisation over the last axis (Ba et al. 2016) and adaLN's modulation (Peebles and Xie 2023), as one op:
 * y = n (1 + scale) + shift with n = (x - mean) / s, s = sqrt(var + eps). x: (B, N, D); shift, scale: (B, 1, D).
 * With g = dy (1 + scale): dx = (g - mean(g) - n mean(g n)) / s, dshift = sum dy and dscale = sum dy n over the tokens.
 * Of the forward pass only x, the means and the 1/s are kept: n is computed again.
 */
export function modulatedNorm(x: Tensor, shift: Tensor, scale: Tensor): Tensor {
  const op = tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc;
    const [y, mean, inverse] = fused('modulatedNorm', args as Tensor[], normalise, [0]);
    save([args[0] as Tensor, args[2] as Tensor, mean!, inverse!]);
    return { value: y!, gradFunc: (dy, saved) => fused('modulatedNormGradient', [dy, ...saved], gradients) };
  });
  return op(x, shift, scale);
}

function normalise(x: Tensor, shift: Tensor, scale: Tensor): Tensor[] {
  const mean = tf.mean(x, -1, true);
  const centred = tf.sub(x, mean);
  const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), EPSILON));
  return [tf.add(tf.mul(tf.mul(centred, inverse), tf.add(scale, 1)), shift), mean, inverse];
}

function gradients(dy: Tensor, x: Tensor, scale: Tensor, mean: Tensor, inverse: Tensor): Tensor[] {
  const n = tf.mul(tf.sub(x, mean), inverse);
  const g = tf.mul(dy, tf.add(scale, 1));
  const projected = tf.mul(n, tf.mean(tf.mul(g, n), -1, true));
  const dx = tf.mul(inverse, tf.sub(tf.sub(g, tf.mean(g, -1, true)), projected));
  return [dx, tf.sum(dy, 1, true), tf.sum(tf.mul(dy, n), 1, true)];
}
