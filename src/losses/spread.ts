import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { logSumExp } from './log-sum-exp.ts';
import { MASKED, pairDistances } from './repulsion.ts';

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
  const distances = pairDistances(z);
  const pairs = b * (b - 1);
  // A batch of one has no pair: both are 0.
  const inBatch = {
    pairDistance: tf.div(tf.sum(distances), Math.max(1, pairs)),
    uniformity:
      pairs === 0
        ? tf.scalar(0)
        : tf.sub(logSumExp(tf.add(tf.mul(distances, -2), tf.mul(tf.eye(b), MASKED)), 'all'), Math.log(pairs)),
  };
  if (queue === null) return inBatch;
  const count = tf.sum(queue.mask);
  const meanRow = tf.div(tf.matMul(tf.reshape(queue.mask, [1, -1]), queue.rows), tf.maximum(count, 1));
  const mean = tf.mean(z, 0);
  return {
    ...inBatch,
    drift: tf.mean(tf.sum(tf.squaredDifference(z, queue.keys), 1)),
    // While the queue is empty there is nothing to be far from.
    shift: tf.mul(tf.minimum(count, 1), tf.sum(tf.squaredDifference(mean, meanRow))),
    // The mean of the products of all pairs is the product of the means: a mean cosine when the projection normalises.
    similarity: tf.sum(tf.mul(mean, meanRow)),
  };
}
