import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

const C = Math.sqrt(2 / Math.PI);
const A = 0.044715;

/**
 * GELU in its tanh form (Hendrycks and Gimpel 2016): x/2 (1 + tanh u), u = c (x + a x^3). Any shape.
 * Since (1 + tanh u)/2 = sigmoid(2u) it is x g with the gate g = sigmoid(2u), and its derivative g + x g (1 - g) 2u':
 * written out to keep the one sigmoid and few passes over the widest activations of the model.
 */
export function gelu(x: Tensor): Tensor {
  const op = tf.customGrad((input, save) => {
    const v = input as Tensor;
    const gate = tf.sigmoid(tf.mul(v, tf.add(tf.mul(tf.square(v), 2 * C * A), 2 * C)));
    (save as tf.GradSaveFunc)([v, gate]);
    return {
      value: tf.mul(v, gate),
      gradFunc: (dy, saved) => {
        const [s, g] = saved;
        const slope = tf.mul(tf.sub(g, tf.square(g)), tf.add(tf.mul(tf.square(s), 6 * A * C), 2 * C));
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
