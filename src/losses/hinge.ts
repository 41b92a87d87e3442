import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { pairDistances, squaredDistances } from './distances.ts';
import { meanOverAnchors } from './log-mean-exp.ts';
import { pairCounts, pairWeights, type Repelled, totalCount } from './negatives.ts';
import type { RepulsionForm } from './repulsion-form.ts';

/**
 * L = mean_ij max(0, margin - ||z_i - n_j||^2)^2 (Wang and He 2025, their hinge form; Hadsell et al. 2006 without positives),
 * its negatives as in l2.ts. Pairs that are `margin` apart are left alone. Without any pair it is 0.
 */
export function hinge(repelled: Repelled, form: RepulsionForm): Scalar {
  const { z, queue } = repelled;
  const weights = pairWeights(repelled, form);
  const perDimension = form.perDimension ? 1 / z.shape[1] : 1;
  const penalties = (squared: Tensor, of: Tensor) =>
    tf.sum(tf.mul(tf.square(tf.relu(tf.sub(form.margin, tf.mul(squared, perDimension)))), of), 1);
  const sums: Tensor[] = []; // (B) each
  if (weights.own !== null) sums.push(penalties(pairDistances(z), weights.own));
  if (queue !== null) sums.push(penalties(squaredDistances(z, queue.rows), weights.queue!));
  const sum = sums.reduce((a, b) => tf.add(a, b));
  const counts = pairCounts(weights);
  if (form.reduction === 'global') {
    const count = totalCount(counts, z.shape[0]);
    return tf.where(tf.greater(count, 0), tf.div(tf.sum(sum), tf.maximum(count, 1e-30)), 0) as Scalar;
  }
  const ofAnchor = tf.reshape(tf.mul(counts, tf.ones([z.shape[0], 1])), [-1]);
  return meanOverAnchors(tf.div(sum, tf.maximum(ofAnchor, 1e-30)), ofAnchor);
}
