import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

const C = Math.sqrt(2 / Math.PI);
const A = 0.044715;

/**
 * GELU in its tanh form (Hendrycks and Gimpel 2016): x/2 (1 + tanh u), u = c (x + a x^3). Any shape.
 * Derivative: (1 + th)/2 + x/2 (1 - th^2) c (1 + 3 a x^2), written out to keep one tanh and few ops.
 */
export function gelu(x: Tensor): Tensor {
  const op = tf.customGrad((input, save) => {
    const v = input as Tensor;
    const th = tf.tanh(tf.mul(v, tf.add(tf.mul(tf.square(v), C * A), C)));
    const gate = tf.add(tf.mul(th, 0.5), 0.5);
    (save as tf.GradSaveFunc)([v, gate]);
    return {
      value: tf.mul(v, gate),
      gradFunc: (dy, saved) => {
        const [s, g] = saved;
        // With g = (1 + th)/2: (1 - th^2)/2 = 2 g (1 - g).
        const slope = tf.mul(tf.mul(g, tf.sub(1, g)), tf.add(tf.mul(tf.square(s), 6 * A * C), 2 * C));
        return tf.mul(dy, tf.add(g, tf.mul(s, slope)));
      },
    };
  });
  return op(x);
}

/** SiLU: x sigmoid(x). Any shape. */
export function silu(x: Tensor): Tensor {
  return tf.mul(x, tf.sigmoid(x));
}
