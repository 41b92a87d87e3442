import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { squaredDistances } from './repulsion.ts';

export interface QueueBefore {
  /** (B, d): keys of the same inputs as the projections. */
  readonly keys: Tensor2D;
  /** (K, d) and (K): the queue before this batch comes in. */
  readonly rows: Tensor2D;
  readonly mask: Tensor1D;
}

/**
 * What shows whether the batch is spread or has escaped from its own queue: the value of the loss does not.
 * z: projections (B, d). Scalars, named as in src/trainer/report.ts; the last three with a queue only.
 */
export function spread(z: Tensor2D, queue: QueueBefore | null): Record<string, Tensor> {
  const b = z.shape[0];
  const distances = squaredDistances(z, z);
  const offDiagonal = tf.sub(1, tf.eye(b));
  const meanOverPairs = (values: Tensor) => tf.div(tf.sum(tf.mul(values, offDiagonal)), Math.max(1, b * (b - 1)));
  const inBatch = {
    pairDistance: meanOverPairs(distances),
    uniformity: tf.log(meanOverPairs(tf.exp(tf.mul(distances, -2)))),
  };
  if (queue === null) return inBatch;
  const count = tf.sum(queue.mask);
  const meanRow = tf.div(tf.sum(tf.mul(queue.rows, tf.reshape(queue.mask, [-1, 1])), 0), tf.maximum(count, 1));
  const mean = tf.mean(z, 0);
  return {
    ...inBatch,
    drift: tf.mean(tf.sum(tf.squaredDifference(z, queue.keys), 1)),
    // While the queue is empty there is nothing to be far from.
    shift: tf.mul(tf.minimum(count, 1), tf.sum(tf.squaredDifference(mean, meanRow))),
    similarity: tf.sum(tf.mul(mean, meanRow)),
  };
}
