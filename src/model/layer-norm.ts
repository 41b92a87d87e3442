import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Layer normalisation over the last axis without affine parameters (Ba et al. 2016). x: (..., D) -> (..., D).
 * With x^ = (x - mean) / s, s = sqrt(var + eps), the gradient is dx = (dy - mean(dy) - x^ mean(dy x^)) / s: written out,
 * since autodiff through mean and variance makes three times the ops.
 */
export function layerNorm(x: Tensor, eps = 1e-6): Tensor {
  const op = tf.customGrad((input, save) => {
    const v = input as Tensor;
    const centred = tf.sub(v, tf.mean(v, -1, true));
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), eps));
    const normal = tf.mul(centred, inverse);
    (save as tf.GradSaveFunc)([normal, inverse]);
    return {
      value: normal,
      gradFunc: (dy, saved) => {
        const [n, inv] = saved;
        const projected = tf.mul(n, tf.mean(tf.mul(dy, n), -1, true));
        return tf.mul(inv, tf.sub(tf.sub(dy, tf.mean(dy, -1, true)), projected));
      },
    };
  });
  return op(x);
}
