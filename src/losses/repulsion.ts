import type { Scalar } from '@tensorflow/tfjs-core';
import { cosine } from './cosine.ts';
import { covariance } from './covariance.ts';
import { hinge } from './hinge.ts';
import { infoNce } from './info-nce.ts';
import { l2 } from './l2.ts';
import type { Repelled } from './negatives.ts';
import type { FORM_KINDS, RepulsionForm } from './repulsion-form.ts';

const FORMS: Record<(typeof FORM_KINDS)[number], (repelled: Repelled, form: RepulsionForm) => Scalar> = {
  l2,
  cosine,
  hinge,
  covariance,
  'info-nce': infoNce,
};

/** The repulsion of a batch from its negatives, a scalar. Gradients flow through the batch alone. */
export function repulsion(repelled: Repelled, form: RepulsionForm): Scalar {
  return FORMS[form.kind](repelled, form);
}
