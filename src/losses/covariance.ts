import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Repelled } from './negatives.ts';
import type { RepulsionForm } from './repulsion-form.ts';

/**
 * L = sum_{m != n} C_mn^2, C the covariance of the dimensions (Wang and He 2025, their covariance form; Bardes et al. 2022,
 * VICReg, which divides by the dimension: `perDimension`). It is estimated over the batch and the rows of the queue, which
 * are constants and count by the ramp: C = 1/W sum_k w_k (x_k - m)(x_k - m)^T, with W = sum w_k and m the weighted mean.
 *
 * C itself is (d, d). Where that is more than there are vectors, its sum of squares is taken from their Gram matrix, which
 * has the same: ||X^T X||_F = ||X X^T||_F.
 */
export function covariance({ z, queue }: Repelled, form: RepulsionForm): Scalar {
  const [b, d] = z.shape;
  const vectors = queue === null ? z : tf.concat([z, queue.rows]); // (N, d)
  const ofBatch: Tensor = tf.ones([b, 1]);
  const weights =
    queue === null ? ofBatch : tf.concat([ofBatch, tf.reshape(tf.mul(queue.mask, queue.weight), [-1, 1])]); // (N, 1)
  const total = tf.sum(weights);
  const mean = tf.div(tf.sum(tf.mul(vectors, weights), 0, true), total);
  const x = tf.mul(tf.sub(vectors, mean), tf.sqrt(tf.div(weights, total))); // X^T X = C
  const loss = vectors.shape[0]! < d ? fromGram(x) : fromCovariance(x, d);
  return (form.perDimension ? tf.div(loss, d) : loss) as Scalar;
}

function fromCovariance(x: Tensor, d: number): Tensor {
  const c = tf.matMul(x, x, true, false);
  return tf.sum(tf.square(tf.mul(c, tf.sub(1, tf.eye(d)))));
}

function fromGram(x: Tensor): Tensor {
  const all = tf.sum(tf.square(tf.matMul(x, x, false, true)));
  const diagonal = tf.sum(tf.square(tf.sum(tf.square(x), 0)));
  return tf.sub(all, diagonal);
}
