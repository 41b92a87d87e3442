import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { pairDistances } from './distances.ts';
import { logMeanExp, logWeights } from './log-mean-exp.ts';
import { pairCounts, pairWeights, type Repelled } from './negatives.ts';
import type { RepulsionForm } from './repulsion-form.ts';

/**
 * Repulsor's loss: L = log [ 1/(B M) sum_i sum_j exp(-||z_i - n_j||^2 / tau) ], where the negatives n_j of anchor i are
 * the other samples of the batch (gradient through both sides) and the rows of the queue (constants, weighted by the ramp); M
 * is their (weighted) count. Without a queue, with `includeSelf` and `perDimension`, it is the dispersive loss of Wang and He
 * 2025 (their InfoNCE-L2 form).
 */
export function l2(repelled: Repelled, form: RepulsionForm): Scalar {
  const { z, queue, unit } = repelled;
  const weights = pairWeights(repelled, form);
  const scale = -1 / (form.tau * (form.perDimension ? z.shape[1] : 1));
  const logits: Tensor2D[] = [];
  if (weights.own !== null) logits.push(tf.add(tf.mul(pairDistances(z), scale), logWeights(weights.own)));
  if (queue !== null) {
    const ofPairs = logWeights(weights.queue!);
    logits.push(unit ? unitLogits(z, queue.rows, scale, ofPairs) : queueLogits(z, queue.rows, scale, ofPairs));
  }
  return logMeanExp(tf.concat(logits, 1), pairCounts(weights), form.reduction);
}

/**
 * scale ||z_i - n_j||^2 + w_ij, (B, K). The factors go into the two sides of the product before it, so that only two sums
 * pass over its B K entries, which are the largest arrays of the loss, where the weights are the same for all anchors.
 */
function queueLogits(z: Tensor2D, rows: Tensor2D, scale: number, logWeights: Tensor): Tensor2D {
  const products = tf.matMul(tf.mul(z, -2 * scale), rows, false, true);
  const ofAnchor = tf.mul(tf.sum(tf.square(z), 1, true), scale); // (B, 1)
  const ofRow = tf.reshape(tf.mul(tf.sum(tf.square(rows), 1), scale), [1, -1]); // (1, K)
  return tf.add(tf.add(products, ofAnchor), tf.add(ofRow, logWeights));
}

/**
 * The same where all vectors have unit length: ||z_i - n_j||^2 = 2 - 2 z_i n_j. Where the weights are the same for all anchors they are
 * a bias of the product, and nothing else passes over its entries. What the gradient lacks is along z_i, and normalising has none of it.
 */
function unitLogits(z: Tensor2D, rows: Tensor2D, scale: number, logWeights: Tensor): Tensor2D {
  const products = tf.matMul(tf.mul(z, -2 * scale), rows, false, true);
  const added = tf.add(logWeights, 2 * scale);
  return tf.add(products, added.shape[0] === 1 ? tf.reshape(added, [-1]) : added);
}
