import type { Scalar, Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { logSumExp } from './log-sum-exp.ts';

/** The repulsion of a batch from its negatives. */
export interface RepulsionForm {
  /** Temperature. */
  readonly tau: number;
  /** 'global': the log of the mean over all pairs. 'per-anchor': the mean over anchors of each one's log. */
  readonly reduction: 'global' | 'per-anchor';
  /** Distances divided by the dimension, as the dispersive loss has them. */
  readonly perDimension: boolean;
  /** The zero distance of each sample to itself counts as a pair too, as in the dispersive loss. */
  readonly includeSelf: boolean;
}

export interface QueueNegatives {
  /** (K, d); a constant: no gradient flows into it. */
  readonly rows: Tensor2D;
  /** (K): 1 for rows that count, else 0. */
  readonly mask: Tensor1D;
  /** In [0, 1]: how much a queue row counts against a row of the batch (the ramp). */
  readonly weight: Scalar;
}

/**
 * Added to the logit of a pair that does not count. Finite, so that no infinity meets a zero in the gradient, and below
 * every logit that does count, however small tau: else the masked pairs would become the nearest.
 */
export const MASKED = -1e38;

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

/**
 * scale ||z_i - n_j||^2 + w_j, (B, K). The factors go into the two sides of the product before it, so that only two sums
 * pass over its B K entries, which are the largest arrays of the loss.
 */
function queueLogits(z: Tensor2D, rows: Tensor2D, scale: number, logWeights: Tensor): Tensor2D {
  const products = tf.matMul(tf.mul(z, -2 * scale), rows, false, true);
  const ofAnchor = tf.mul(tf.sum(tf.square(z), 1, true), scale); // (B, 1)
  const ofRow = tf.add(tf.mul(tf.sum(tf.square(rows), 1), scale), logWeights); // (K)
  return tf.add(tf.add(products, ofAnchor), tf.reshape(ofRow, [1, -1]));
}

/**
 * Repulsor's loss: L = log [ 1/(B M) sum_i sum_j exp(-||z_i - n_j||^2 / tau) ], where the negatives n_j of anchor i are
 * the other samples of the batch (gradient through both sides) and the valid rows of the queue (constants, weighted by
 * the ramp); M is their (weighted) count. Without a queue, with `includeSelf` and `perDimension`, it is the dispersive
 * loss of Wang and He 2025 (L2 form). z: (B, d). Sums are log-sum-exp in float32.
 * Where there is no negative at all (a batch of one and an empty queue) it is 0, and so is its gradient.
 */
export function repulsion(z: Tensor2D, queue: QueueNegatives | null, form: RepulsionForm): Scalar {
  const [b, d] = z.shape;
  const scale = -1 / (form.tau * (form.perDimension ? d : 1));
  const own = tf.mul(pairDistances(z), scale);
  let logits: Tensor = form.includeSelf ? own : tf.add(own, tf.mul(tf.eye(b), MASKED)); // (B, B)
  let count: Tensor = tf.scalar(form.includeSelf ? b : b - 1);
  if (queue !== null) {
    const weights = tf.mul(queue.mask, queue.weight);
    // A weight w is an added log w; a row that does not count is masked, since log 0 has no gradient to give.
    const logWeights = tf.where(
      tf.greater(weights, 0),
      tf.log(tf.maximum(weights, 1e-30)),
      tf.fill(weights.shape, MASKED),
    );
    logits = tf.concat([logits, queueLogits(z, queue.rows, scale, logWeights)], 1); // (B, B + K)
    count = tf.add(count, tf.sum(weights));
  }
  const logCount = tf.log(tf.maximum(count, 1e-30));
  const loss =
    form.reduction === 'per-anchor'
      ? tf.mean(tf.sub(logSumExp(logits, 'rows'), logCount))
      : tf.sub(logSumExp(logits, 'all'), tf.add(logCount, Math.log(b)));
  return (b > 1 || form.includeSelf ? loss : tf.where(tf.greater(count, 0), loss, 0)) as Scalar;
}
