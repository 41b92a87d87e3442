import type { Scalar, Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { unitRows } from './distances.ts';
import type { RepulsionForm } from './repulsion-form.ts';

/** A batch and what it is repelled from. */
export interface Repelled {
  /** Projections of the batch, (B, d); of unit length where the projection normalises. */
  readonly z: Tensor2D;
  readonly queue: QueueNegatives | null;
  /** z, positives and the rows that count are of unit length already: lengths need not be computed of K rows at every step. */
  readonly unit: boolean;
  /** Of the batch, where samples of one class are no negatives of each other. */
  readonly classes: Classes | null;
  /** The key of each sample's second view, (B, d): a constant; info-nce only. */
  readonly positives: Tensor2D | null;
}

export interface QueueNegatives {
  /** (K, d); a constant: no gradient flows into it. */
  readonly rows: Tensor2D;
  /** (K): 1 for rows that count, else 0. */
  readonly mask: Tensor1D;
  /** In [0, 1]: how much a queue row counts against a row of the batch (the ramp). */
  readonly weight: Scalar;
  /** (K) int32: the class of each row; looked at only where the batch has its own. */
  readonly labels: Tensor1D | null;
}

export interface Classes {
  /** (B) int32 */
  readonly labels: Tensor1D;
  /** The label that stands for "not known". */
  readonly unknown: number;
}

/** How much each pair of an anchor and a negative counts: 0 for those that are none. */
export interface PairWeights {
  /** (B, B), or null where the batch's samples are no negatives of each other. */
  readonly own: Tensor2D | null;
  /** (B, K), or (1, K) where it is the same for all anchors; null without a queue. */
  readonly queue: Tensor2D | null;
}

export function pairWeights({ z, queue, classes }: Repelled, form: RepulsionForm): PairWeights {
  const b = z.shape[0];
  const others: Tensor = form.includeSelf ? tf.ones([b, b]) : tf.sub(1, tf.eye(b));
  const own = form.batch ? tf.mul(others, classes === null ? 1 : ofOtherClass(classes, classes.labels)) : null;
  if (queue === null) return { own: own as Tensor2D | null, queue: null };
  const rows = tf.reshape(tf.mul(queue.mask, queue.weight), [1, -1]);
  const weights = classes === null || queue.labels === null ? rows : tf.mul(rows, ofOtherClass(classes, queue.labels));
  return { own: own as Tensor2D | null, queue: weights as Tensor2D };
}

/** Brings rows, (B or K, d), to unit length, where they do not have it already. */
export function toUnitRows({ unit }: Repelled): (rows: Tensor2D) => Tensor2D {
  return unit ? (rows) => rows : unitRows;
}

/** (B, M): 1 where the classes differ, or where the anchor's is not known. */
function ofOtherClass({ labels, unknown }: Classes, others: Tensor1D): Tensor {
  const anchors = tf.reshape(labels, [-1, 1]);
  const differs = tf.notEqual(anchors, tf.reshape(others, [1, -1]));
  return tf.cast(tf.logicalOr(differs, tf.equal(anchors, tf.scalar(unknown, 'int32'))), 'float32');
}

/** Pairs of each anchor, by weight: (B, 1), or (1, 1) where all anchors have as many. */
export function pairCounts({ own, queue }: PairWeights): Tensor {
  const counts = [own, queue].flatMap((weights) => (weights === null ? [] : [tf.sum(weights, 1, true)]));
  return counts.length === 0 ? tf.zeros([1, 1]) : counts.reduce((a, b) => tf.add(a, b));
}

/** `count` over all anchors, of which there are `b`. */
export function totalCount(counts: Tensor, b: number): Tensor {
  return tf.mul(tf.sum(counts), b / counts.shape[0]!);
}
