import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { RepulsorError } from '../errors.ts';
import { logWeights } from './log-mean-exp.ts';
import { logSumExp } from './log-sum-exp.ts';
import { pairWeights, type Repelled, toUnitRows } from './negatives.ts';
import type { RepulsionForm } from './repulsion-form.ts';

/**
 * InfoNCE with a positive (van den Oord et al. 2018; He et al. 2020, MoCo, equation 1): k_i is the key of the sample's second
 * view, a constant, and the negatives n_j are as in l2.ts. With s = cos / tau,
 *
 *     per-anchor   mean_i [ -s(z_i, k_i) + log ( exp s(z_i, k_i) + sum_j w_j exp s(z_i, n_j) ) ]
 *     global       mean_i [ -s(z_i, k_i) ] + log mean_i ( exp s(z_i, k_i) + sum_j w_j exp s(z_i, n_j) )
 *
 * per-anchor is the published one: MoCo's with `batch` false, SimCLR's denominator in one view with a queue of 0.
 */
export function infoNce(repelled: Repelled, form: RepulsionForm): Scalar {
  if (repelled.positives === null)
    throw new RepulsorError('USAGE', 'info-nce has no positives', {
      hint: 'give the key of each sample’s second view, (B, d), as `positives`',
    });
  const b = repelled.z.shape[0];
  const unit = toUnitRows(repelled);
  const z = unit(repelled.z);
  const scaled = tf.mul(z, 1 / form.tau);
  const weights = pairWeights(repelled, form);
  const positive: Tensor = tf.sum(tf.mul(scaled, unit(repelled.positives)), 1); // (B)
  const logits: Tensor2D[] = [tf.reshape(positive, [b, 1])];
  const towards = (rows: Tensor2D) => tf.matMul(scaled, rows, false, true) as Tensor2D;
  if (weights.own !== null) logits.push(tf.add(towards(z), logWeights(weights.own)));
  if (repelled.queue !== null) logits.push(tf.add(towards(unit(repelled.queue.rows)), logWeights(weights.queue!)));
  const all = tf.concat(logits, 1); // (B, 1 + B + K)
  if (form.reduction === 'per-anchor') return tf.mean(tf.sub(logSumExp(all, 'rows'), positive)) as Scalar;
  return tf.sub(tf.sub(logSumExp(all, 'all'), Math.log(b)), tf.mean(positive)) as Scalar;
}
