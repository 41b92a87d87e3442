import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { fused } from '../engine/fused.ts';

const C = Math.sqrt(2 / Math.PI);
const A = 0.044715;

/**
 * GELU in its tanh form (Hendrycks and Gimpel 2016): x/2 (1 + tanh u), u = c (x + a x^3). Any shape.
 * Since (1 + tanh u)/2 = sigmoid(2u) it is x g with the gate g = sigmoid(2u), and its derivative g + x g (1 - g) 2u'.
 * Only x is kept, and the gate computed again: on the widest activations of the model, memory costs more than a sigmoid.
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

const gate = (x: Tensor): Tensor => tf.sigmoid(tf.mul(x, tf.add(tf.mul(tf.square(x), 2 * C * A), 2 * C)));

/** SiLU: x sigmoid(x). Any shape. */
export function silu(x: Tensor): Tensor {
  return tf.mul(x, tf.sigmoid(x));
}
