import type { Scalar, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { logMeanExp, logWeights } from './log-mean-exp.ts';
import { pairCounts, pairWeights, type Repelled, toUnitRows } from './negatives.ts';
import type { RepulsionForm } from './repulsion-form.ts';

/**
 * L = log [ 1/(B M) sum_i sum_j exp(cos(z_i, n_j) / tau) ]: the dispersive loss with D = -cos (Wang and He 2025, their
 * InfoNCE-cosine form), its negatives as in l2.ts. On unit vectors it is the l2 form with tau doubled, plus 1/tau.
 */
export function cosine(repelled: Repelled, form: RepulsionForm): Scalar {
  const unit = toUnitRows(repelled);
  const z = unit(repelled.z);
  const weights = pairWeights(repelled, form);
  const logits: Tensor2D[] = [];
  const towards = (rows: Tensor2D) => tf.matMul(tf.mul(z, 1 / form.tau), rows, false, true) as Tensor2D;
  if (weights.own !== null) logits.push(tf.add(towards(z), logWeights(weights.own)));
  if (repelled.queue !== null) logits.push(tf.add(towards(unit(repelled.queue.rows)), logWeights(weights.queue!)));
  return logMeanExp(tf.concat(logits, 1), pairCounts(weights), form.reduction);
}
