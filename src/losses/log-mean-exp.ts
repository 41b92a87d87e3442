import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { logSumExp } from './log-sum-exp.ts';
import { totalCount } from './negatives.ts';
import type { RepulsionForm } from './repulsion-form.ts';

/**
 * Added to the logit of a pair that does not count. Finite, so that no infinity meets a zero in the gradient, and below
 * every logit that does count, however small tau: else the masked pairs would become the nearest.
 */
export const MASKED = -1e38;

/** A weight w is an added log w; a pair that does not count is masked, since log 0 has no gradient to give. */
export function logWeights(weights: Tensor): Tensor {
  return tf.where(tf.greater(weights, 0), tf.log(tf.maximum(weights, 1e-30)), tf.fill(weights.shape, MASKED));
}

/**
 * The log of the weighted mean of exp(logit) over all pairs, or the mean over anchors of each one's. logits: (B, M), weights
 * in them (`logWeights`); counts: their weights' sums, (B, 1) or (1, 1). An anchor without a pair has no part in the mean over
 * anchors. Without any pair it is 0, and so is its gradient. Sums are log-sum-exp in float32.
 */
export function logMeanExp(logits: Tensor2D, counts: Tensor, reduction: RepulsionForm['reduction']): Scalar {
  const b = logits.shape[0];
  if (reduction === 'global') {
    const count = totalCount(counts, b);
    const loss = tf.sub(logSumExp(logits, 'all'), tf.log(tf.maximum(count, 1e-30)));
    return tf.where(tf.greater(count, 0), loss, 0) as Scalar;
  }
  const ofAnchor = tf.reshape(tf.mul(counts, tf.ones([b, 1])), [b]);
  const logs = tf.sub(logSumExp(logits, 'rows'), tf.log(tf.maximum(ofAnchor, 1e-30)));
  return meanOverAnchors(logs, ofAnchor);
}

/** Mean of values (B) over the anchors that have a pair. counts: (B) */
export function meanOverAnchors(values: Tensor, counts: Tensor): Scalar {
  const has = tf.greater(counts, 0);
  const anchors = tf.maximum(tf.sum(tf.cast(has, 'float32')), 1);
  return tf.div(tf.sum(tf.where(has, values, tf.zerosLike(values))), anchors) as Scalar;
}
