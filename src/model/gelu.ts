import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { fused } from '../engine/fused.ts';
import type { Activation } from './linear.ts';

const C = Math.sqrt(2 / Math.PI);
const A = 0.044715;

/**
 * GELU in its tanh form (Hendrycks and Gimpel 2016): x/2 (1 + tanh u), u = c (x + a x^3). It is x g with the gate
 * g = (1 + tanh u)/2 = sigmoid(2u), and its derivative g + x g (1 - g) 2u'. On what are the widest activations of the model the
 * loop that makes the gradient, and so computes the gate again, gives the value as well, so that it need not be kept.
 */
export const GELU: Activation = {
  value: (x) => fused('gelu', [x], (v) => [tf.mul(v, gate(v))], [0])[0]!,
  gradientAndValue: (d, x) => fused('geluGradient', [d, x], gradientAndValue, [0, 1]),
};

function gradientAndValue(d: Tensor, x: Tensor): [Tensor, Tensor] {
  const g = gate(x);
  const value = tf.mul(x, g);
  const inner = tf.add(tf.mul(tf.square(x), 6 * A * C), 2 * C); // 2u'
  return [tf.mul(d, tf.add(g, tf.mul(tf.mul(value, tf.sub(1, g)), inner))), value];
}

/** By tanh, which TensorFlow's compiler makes a polynomial of; its sigmoid is an exponential and a division. */
const gate = (x: Tensor): Tensor =>
  tf.add(tf.mul(tf.tanh(tf.mul(x, tf.add(tf.mul(tf.square(x), C * A), C))), 0.5), 0.5);
