import { z } from 'zod';
import { HEADS, POOLS } from '../losses/projection.ts';
import { FORM_KINDS } from '../losses/repulsion-form.ts';
import type { Pipeline } from './pipeline.ts';
import { blocksOf, hasSecondView, type RepulsionSettings } from './repulsion-settings.ts';

const natural = z.int().min(1);
const count = z.int().min(0);
const positive = z.number().positive();

/** One block is stored as a number, as it always was; several sorted. */
const blocks = z.preprocess(
  (named) => (typeof named === 'number' ? [named] : named),
  z
    .array(natural)
    .min(1, 'names no block')
    .refine((list) => new Set(list).size === list.length, 'names a block twice')
    .transform((list) => (list.length === 1 ? list[0]! : [...list].sort((a, b) => a - b))),
);

export const repulsionShape = z.strictObject({
  lambda: z.number().min(0),
  block: blocks,
  projection: z.strictObject({
    pool: z.enum(POOLS),
    head: z.enum(HEADS),
    dim: natural,
    centre: z.boolean(),
    normalize: z.boolean(),
  }),
  form: z.strictObject({
    kind: z.enum(FORM_KINDS),
    tau: positive,
    margin: positive,
    reduction: z.enum(['global', 'per-anchor']),
    perDimension: z.boolean(),
    includeSelf: z.boolean(),
    batch: z.boolean(),
    sameClass: z.boolean(),
  }),
  view: z.strictObject({ time: z.enum(['own', 'same']), flip: z.boolean(), shift: count }),
  queue: count,
  start: count,
  ramp: count,
  maxAge: natural.nullable(),
  keyMomentum: z.number().min(0).lt(1).nullable(),
});

/** What of the repulsion does not go together, each by the name of the setting to change. */
export function repulsionContradictions(settings: RepulsionSettings, { model }: Pick<Pipeline, 'model'>): string[] {
  const { form, view, queue, maxAge } = settings;
  const covariance = form.kind === 'covariance';
  const cosines = form.kind === 'cosine' || form.kind === 'info-nce';
  const viewed = view.time !== 'own' || view.flip || view.shift > 0;
  const deep = blocksOf(settings).filter((block) => block > model.depth);
  const side = Math.min(model.input[0], model.input[1]);
  const rules: readonly (readonly [boolean, string, string])[] = [
    [deep.length > 0, 'block', `${deep.join(', ')} is more than the depth of ${model.depth}`],
    [
      !form.batch && queue === 0,
      'form.batch',
      'without a queue the other samples of the batch are all the negatives there are; set it to true, or give a queue',
    ],
    [maxAge !== null && queue === 0, 'maxAge', 'only rows of a queue have an age; set it to null, or give a queue'],
    [
      cosines && form.perDimension,
      'form.perDimension',
      `${form.kind} takes cosines, which no dimension divides; set it to false`,
    ],
    [
      form.includeSelf && form.kind === 'info-nce',
      'form.includeSelf',
      'info-nce has a positive of its own; set it to false',
    ],
    [
      form.includeSelf && !form.sameClass,
      'form.includeSelf',
      'a sample is of its own class, which form.sameClass leaves out; set one of them otherwise',
    ],
    [
      form.includeSelf && !form.batch,
      'form.includeSelf',
      'a pair of a sample with itself is one of the batch, which form.batch leaves out; set it to false',
    ],
    [
      covariance && form.reduction === 'per-anchor',
      'form.reduction',
      'covariance has no anchors: it is of dimensions, over all vectors; set it to global',
    ],
    [
      covariance && (form.includeSelf || !form.sameClass || !form.batch),
      `form.${form.includeSelf ? 'includeSelf' : form.sameClass ? 'batch' : 'sameClass'}`,
      'covariance has no pairs that could be put in or left out; set it to the default',
    ],
    [
      viewed && !hasSecondView(settings),
      'view',
      `only info-nce has a second view, not ${form.kind}; set form.kind to info-nce, or leave view out`,
    ],
    [view.shift >= side, 'view.shift', `${view.shift} pixels move an image of ${side} out of sight; take fewer`],
  ];
  return rules.filter(([broken]) => broken).map(([, setting, why]) => `losses.repulsion.${setting}: ${why}`);
}
