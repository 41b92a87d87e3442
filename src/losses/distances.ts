import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/** Squared Euclidean distances of all rows of a (A, d) to all rows of b (M, d), at least 0. Returns (A, M). */
export function squaredDistances(a: Tensor2D, b: Tensor2D): Tensor2D {
  const products = tf.matMul(a, b, false, true);
  const squares = tf.add(tf.sum(tf.square(a), 1, true), tf.reshape(tf.sum(tf.square(b), 1), [1, -1]));
  return tf.relu(tf.sub(squares, tf.mul(products, 2)));
}

/**
 * Squared distances of the rows of z (B, d) to each other, (B, B), the diagonal exactly 0. Taken about their mean: it
 * changes no distance, and what all rows have in common no longer eats the digits of the differences.
 */
export function pairDistances(z: Tensor2D): Tensor2D {
  const centred = tf.sub(z, tf.mean(z, 0, true)) as Tensor2D;
  return tf.mul(squaredDistances(centred, centred), tf.sub(1, tf.eye(z.shape[0])));
}

/** Rows scaled to unit length; a row of zeros stays one. */
export function unitRows<T extends Tensor>(z: T): T {
  return tf.mul(z, tf.rsqrt(tf.add(tf.sum(tf.square(z), 1, true), 1e-12)));
}
