import type { Scalar, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { cosine } from './cosine.ts';
import { covariance } from './covariance.ts';
import { hinge } from './hinge.ts';
import { infoNce } from './info-nce.ts';
import { l2 } from './l2.ts';
import type { QueueNegatives, Repelled } from './negatives.ts';
import { DEFAULT_FORM, type FORM_KINDS, type RepulsionForm } from './repulsion-form.ts';

const FORMS: Record<(typeof FORM_KINDS)[number], (repelled: Repelled, form: RepulsionForm) => Scalar> = {
  l2,
  cosine,
  hinge,
  covariance,
  'info-nce': infoNce,
};

/** A batch and, where there are any, what else it is repelled from. */
export interface RepelledBatch extends Partial<Omit<Repelled, 'queue'>> {
  readonly z: Tensor2D;
  readonly queue?: QueueRows | null;
}

/** Without a weight every row that counts, counts as much as one of the batch. */
export type QueueRows = Pick<QueueNegatives, 'rows' | 'mask'> & Partial<QueueNegatives>;

/**
 * The repulsion of a batch z (B, d) from its negatives, a scalar. Gradients flow through the batch alone. For a program's
 * function (src/engine/engine.ts), or with tfjs-core's own backend.
 * @throws RepulsorError USAGE for info-nce without `positives`
 *
 * @example
 * repulsion({ z, queue: { rows, mask } }, { kind: 'hinge', margin: 2 });
 */
export function repulsion(batch: RepelledBatch, form: Partial<RepulsionForm> = {}): Scalar {
  const whole = { ...DEFAULT_FORM, ...form };
  const { z, classes = null, positives = null, unit = false } = batch;
  const queue = batch.queue ? { weight: tf.scalar(1), labels: null, ...batch.queue } : null;
  return FORMS[whole.kind]({ z, queue, classes, positives, unit }, whole);
}
