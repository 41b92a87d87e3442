import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { pairDistances } from './distances.ts';
import { MASKED } from './log-mean-exp.ts';
import { logSumExp } from './log-sum-exp.ts';

export interface QueueBefore {
  /** (K, d) and (K): the queue before this batch comes in, and which of its rows count. */
  readonly rows: Tensor2D;
  readonly mask: Tensor1D;
}

/** A key of each sample. */
export interface KeysOf {
  /** (B, d) */
  readonly keys: Tensor2D;
  /** Of the same inputs as the projections, which lag behind (drift), or of second views of them, which are positives. */
  readonly of: 'same inputs' | 'second views';
}

/**
 * What shows whether the batch is spread or has escaped from its own queue: the value of the loss does not.
 * z: projections (B, d). Scalars, named as in src/trainer/report.ts: pairDistance and uniformity; drift or positiveDistance
 * where there are keys; shift and similarity where there is a queue.
 *
 * Vectors of unit length are measured as they are. Others (`unit` false) have no scale of their own, and what is collapse for
 * one projection is rounding for another: squared distances are then divided by the mean squared distance from the point half
 * way between the batch's mean and the queue's, each side one half; without a queue, from 0. So two tight clusters
 * lie at a shift of 4 and an even spread has a pair distance of 2, as on the sphere, and the same warnings hold.
 */
export function spread(
  z: Tensor2D,
  queue: QueueBefore | null,
  keys: KeysOf | null = null,
  unit = true,
): Record<string, Tensor> {
  const b = z.shape[0];
  const pairs = b * (b - 1);
  const mean = tf.mean(z, 0);
  const centre = queue === null ? null : centreOf(queue);
  const scale = unit ? null : squaredScale(z, mean, queue, centre);
  const measured = (squared: Tensor) => (scale === null ? squared : tf.div(squared, scale));
  const distances = measured(pairDistances(z));
  const found: Record<string, Tensor> = {
    // A batch of one has no pair: both are 0.
    pairDistance: tf.div(tf.sum(distances), Math.max(1, pairs)),
    uniformity:
      pairs === 0
        ? tf.scalar(0)
        : tf.sub(logSumExp(tf.add(tf.mul(distances, -2), tf.mul(tf.eye(b), MASKED)), 'all'), Math.log(pairs)),
  };
  if (keys !== null) {
    const name = keys.of === 'same inputs' ? 'drift' : 'positiveDistance';
    found[name] = measured(tf.mean(tf.sum(tf.squaredDifference(z, keys.keys), 1)));
  }
  if (centre !== null) {
    const { count, meanRow } = centre;
    // While the queue is empty there is nothing to be far from.
    found['shift'] = measured(tf.mul(tf.minimum(count, 1), tf.sum(tf.squaredDifference(mean, meanRow))));
    // The mean of the products of all pairs is the product of the means: a mean cosine when the projection normalises.
    found['similarity'] = scale === null ? tf.sum(tf.mul(mean, meanRow)) : cosineOfMeans(mean, meanRow, scale);
  }
  return found;
}

interface Centre {
  /** Rows that count. */
  readonly count: Tensor;
  /** (1, d); 0 where none counts. */
  readonly meanRow: Tensor;
}

function centreOf({ rows, mask }: QueueBefore): Centre {
  const count = tf.sum(mask);
  return { count, meanRow: tf.div(tf.matMul(tf.reshape(mask, [1, -1]), rows), tf.maximum(count, 1)) };
}

function squaredScale(z: Tensor2D, mean: Tensor, queue: QueueBefore | null, centre: Centre | null): Tensor {
  if (queue === null || centre === null) return tf.maximum(tf.mean(tf.sum(tf.square(z), 1)), 1e-30);
  const { count, meanRow } = centre;
  const from = (vectors: Tensor, point: Tensor) => tf.sum(tf.squaredDifference(vectors, point), 1);
  const there = tf.minimum(count, 1); // 0 while no row counts: then the half way point is the batch's mean
  const half = tf.add(mean, tf.mul(tf.sub(meanRow, mean), tf.div(there, 2)));
  const ofBatch = tf.mean(from(z, half));
  const ofRows = tf.div(tf.sum(tf.mul(from(queue.rows, half), queue.mask)), tf.maximum(count, 1));
  return tf.maximum(tf.div(tf.add(ofBatch, ofRows), tf.add(1, there)), 1e-30);
}

/** 0 where a mean is nothing beside the vectors, as that of centred ones is: its direction would be rounding. */
function cosineOfMeans(a: Tensor, b: Tensor, scale: Tensor): Tensor {
  const squared = (of: Tensor) => tf.maximum(tf.sum(tf.square(of)), tf.mul(scale, 1e-4));
  return tf.div(tf.sum(tf.mul(a, b)), tf.mul(tf.sqrt(squared(a)), tf.sqrt(squared(b))));
}
