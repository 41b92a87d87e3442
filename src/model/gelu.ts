import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { fused } from '../engine/fused.ts';

const C = Math.sqrt(2 / Math.PI);
const A = 0.044715;

/**
 * GELU in its tanh form (Hendrycks and Gimpel 2016): x/2 (1 + tanh u), u = c (x + a x^3). Any shape.
 * It is x g with the gate g = (1 + tanh u)/2 = sigmoid(2u), and its derivative g + x g (1 - g) 2u'.
 * Only x is kept, and the gate computed again: on the widest activations of the model, memory costs more than a tanh.
 */
export function gelu(x: Tensor): Tensor {
  const op = tf.customGrad((input, save) => {
    (save as tf.GradSaveFunc)([input as Tensor]);
    return {
      value: fused('gelu', [input as Tensor], (v) => [tf.mul(v, gate(v))], [0])[0]!,
      gradFunc: (dy, saved) =>
        fused(
          'geluGradient',
          [dy, ...saved],
          (d, v) => {
            const g = gate(v);
            const slope = tf.mul(tf.sub(g, tf.square(g)), tf.add(tf.mul(tf.square(v), 6 * A * C), 2 * C));
            return [tf.mul(d, tf.add(g, tf.mul(v, slope)))];
          },
          [0],
        )[0]!,
    };
  });
  return op(x);
}

/** By tanh, which TensorFlow's compiler makes a polynomial of; its sigmoid is an exponential and a division. */
const gate = (x: Tensor): Tensor =>
  tf.add(tf.mul(tf.tanh(tf.mul(x, tf.add(tf.mul(tf.square(x), C * A), C))), 0.5), 0.5);

/** SiLU: x sigmoid(x). Any shape. */
export function silu(x: Tensor): Tensor {
  return tf.mul(x, tf.sigmoid(x));
}
