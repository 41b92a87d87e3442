import { RepulsorError } from '../errors.ts';

/** Why a record or an image of it cannot be used: a fixed set of words, fit for a metric's label. */
const BAD_REASONS = [
  'undecodable', // bytes that are not what the schema says
  'unknown_schema', // no schema is known for the fingerprint or id
  'incompatible_schema', // the writer's schema does not resolve to the reader's
  'too_large', // more bytes than the limit
  'count', // more images than the limit, or none
  'dimensions', // height, width or channels that are not allowed
  'length', // an image whose bytes do not fill its shape
  'labels', // labels that do not pair with the images, or are no class of the pipeline
  'image', // an image file that is damaged or of another format
  'shape', // an image of another shape than its record or the pipeline says
  'non_finite', // a latent that is infinite or not a number
  'encoder', // latents of another encoder than the run's
] as const;

export type BadReason = (typeof BAD_REASONS)[number];

const HINTS: Record<BadReason, string> = {
  undecodable: 'write records with the schemas in schemas/, in Avro single-object encoding',
  unknown_schema:
    'write with one of the schemas in schemas/, add the one that the writer used as schemas/past/KIND.NAME.avsc, or name the schema registry that has it (source.registry)',
  incompatible_schema: 'give each new field a default, and rename by aliases',
  too_large: 'write smaller records, or raise the limit in the pipeline settings',
  count: 'write at least one and at most the allowed number of images in a record',
  dimensions: 'write images within the limits, with 1, 3 or 4 channels (latents: any number within the limit)',
  length: 'write height x width x channels elements for each image, row-major',
  labels: 'write one class per image, 0 to the number of classes - 1, or no labels at all',
  image: 'write images that open elsewhere, under the encoding they are in',
  shape: 'resize the images before they are written, or set the pipeline to their shape',
  non_finite: 'check the encoder that made the latents',
  encoder: 'keep the latents of each encoder in a topic of their own, or start a new run',
};

/** A BAD_RECORD error with its reason. The message says what is wrong; where it lay is added by the operators. */
export class BadRecord extends RepulsorError {
  readonly reason: BadReason;

  constructor(reason: BadReason, message: string, cause?: unknown) {
    super('BAD_RECORD', message, { hint: HINTS[reason], ...(cause === undefined ? {} : { cause }) });
    this.reason = reason;
  }
}
