import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { fused } from '../engine/fused.ts';
import { product } from '../engine/product.ts';

const C = Math.sqrt(2 / Math.PI);
const A = 0.044715;

/**
 * y = gelu(x) W^T + b over the last axis: the second half of a block's MLP. x: (..., in), W: (out, in), b: (out). Returns (..., out).
 * GELU in its tanh form (Hendrycks and Gimpel 2016): x/2 (1 + tanh u), u = c (x + a x^3). It is x g with the gate
 * g = (1 + tanh u)/2 = sigmoid(2u), and its derivative g + x g (1 - g) 2u'.
 *
 * Of both only x is kept, on what are the widest activations of the model: the loop that makes dx, and so computes the gate again,
 * gives gelu(x) to dW as well.
 */
export function geluLinear(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const [out, inputs] = weight.shape as [number, number];
  const op = tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc;
    const [input, w, b] = args as [Tensor, Tensor2D, Tensor];
    const rows = tf.reshape(input, [-1, inputs]) as Tensor2D;
    save([rows, w]);
    const [active] = fused('gelu', [rows], (v) => [tf.mul(v, gate(v)) as Tensor2D], [0]);
    return {
      value: tf.reshape(product(active!, w, false, true, b), [...input.shape.slice(0, -1), out]),
      gradFunc: (dy, saved) => {
        const [r, v] = saved as [Tensor2D, Tensor2D];
        const d = tf.reshape(dy, [-1, out]) as Tensor2D;
        const [db] = fused('columnSums', [d], (all) => [tf.sum(all, 0)]);
        const [dx, h] = fused('geluGradient', [product(d, v), r], gradientAndValue, [0, 1]) as [Tensor2D, Tensor2D];
        return [tf.reshape(dx, input.shape), product(d, h, true), db!];
      },
    };
  });
  return op(x, weight, bias);
}

/** Of d, the gradient of gelu(x): the gradient of x; and gelu(x) once more. */
function gradientAndValue(d: Tensor, x: Tensor): Tensor[] {
  const g = gate(x);
  const value = tf.mul(x, g);
  const inner = tf.add(tf.mul(tf.square(x), 6 * A * C), 2 * C); // 2u'
  return [tf.mul(d, tf.add(g, tf.mul(tf.mul(value, tf.sub(1, g)), inner))), value];
}

/** By tanh, which TensorFlow's compiler makes a polynomial of; its sigmoid is an exponential and a division. */
const gate = (x: Tensor): Tensor =>
  tf.add(tf.mul(tf.tanh(tf.mul(x, tf.add(tf.mul(tf.square(x), C * A), C))), 0.5), 0.5);
