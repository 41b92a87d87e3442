import { RepulsorError } from '../errors.ts';
import { frechetDistance, type RootedGaussian } from '../statistics/fid.ts';
import { gaussianOf } from '../statistics/gaussian.ts';
import { inceptionScore } from '../statistics/inception-score.ts';
import { kid } from '../statistics/kid.ts';
import type { PairProducts } from '../statistics/pair-products.ts';
import { prdc } from '../statistics/prdc.ts';
import { type FeatureSet, ofClasses } from './feature-set.ts';

/** What can be measured. `is` and `accuracy` need an extractor that tells classes; `accuracy` labels too. */
export const METRICS = ['fid', 'kid', 'prdc', 'is', 'accuracy'] as const;
export type Metric = (typeof METRICS)[number];

export const isSampleMetric = (name: string): name is Metric => METRICS.includes(name as Metric);

export interface MeasureSettings {
  readonly metrics: readonly Metric[];
  /** FID of each class too. */
  readonly perClass: boolean;
  readonly kidSubsets: { readonly count: number; readonly size: number; readonly seed: number } | null;
  readonly products: PairProducts;
  /** The reference's Gaussian, of all its rows or of a class; a place to keep it. */
  readonly rooted: (reference: FeatureSet) => Promise<RootedGaussian>;
  readonly note: (line: string) => void;
}

/** By the names of the JSON result. */
export type Measures = Record<string, number | Record<string, ClassMeasures>>;

export interface ClassMeasures {
  readonly fid: number | null;
  readonly samples: number;
  readonly reference_images: number;
  readonly accuracy?: number;
}

/** @throws RepulsorError USAGE where a set lacks what a metric needs */
export async function measure(
  generated: FeatureSet,
  reference: FeatureSet,
  settings: MeasureSettings,
): Promise<Measures> {
  const { metrics, kidSubsets, products, rooted, note } = settings;
  const found: Measures = {};
  for (const metric of metrics) {
    note(`computing ${metric}`);
    if (metric === 'fid') found['fid'] = frechetDistance(await rooted(reference), gaussianOf(generated.features));
    else if (metric === 'kid') {
      const { mean, std } = await kid(generated.features, reference.features, { subsets: kidSubsets, products });
      Object.assign(found, { kid: mean, kid_std: std });
    } else if (metric === 'prdc')
      Object.assign(found, await prdc(generated.features, reference.features, { products }));
    else if (metric === 'is') {
      const { mean, std } = inceptionScore(told(generated, 'the Inception score'));
      Object.assign(found, { inception_score: mean, inception_score_std: std });
    } else found['accuracy'] = accuracy(generated);
  }
  if (settings.perClass) found['per_class'] = await byClass(generated, reference, settings);
  return found;
}

async function byClass(
  generated: FeatureSet,
  reference: FeatureSet,
  { metrics, rooted, note }: MeasureSettings,
): Promise<Record<string, ClassMeasures>> {
  const classes = [...new Set(generated.labels)].sort((a, b) => a - b);
  const none = 'give labelled images on both sides';
  if (classes.includes(-1) || reference.labels.includes(-1))
    throw new RepulsorError('USAGE', 'classes cannot be told apart: an image has no label', { hint: none });
  const found: Record<string, ClassMeasures> = {};
  for (const label of classes) {
    note(`computing fid of class ${label}`);
    const [ours, theirs] = [ofClasses(generated, [label]), ofClasses(reference, [label])];
    const [samples, images] = [ours.labels.length, theirs.labels.length];
    found[label] = {
      fid: samples < 2 || images < 2 ? null : frechetDistance(await rooted(theirs), gaussianOf(ours.features)),
      samples,
      reference_images: images,
      ...(metrics.includes('accuracy') && { accuracy: accuracy(ours) }),
    };
  }
  return found;
}

/** Share of generated images that the extractor takes for the class they were asked as. */
function accuracy(generated: FeatureSet): number {
  const { shape, data } = told(generated, 'accuracy');
  const [n, classes] = shape;
  let right = 0;
  for (let i = 0; i < n; i++) {
    const row = data.subarray(i * classes, (i + 1) * classes);
    if (row.indexOf(Math.max(...row)) === generated.labels[i]) right++;
  }
  return right / n;
}

function told({ probabilities }: FeatureSet, what: string) {
  if (probabilities !== null) return probabilities;
  throw new RepulsorError('USAGE', `${what} needs class probabilities, and there are none`, {
    hint: 'take an extractor that tells classes (--logits-output of an ONNX model), or leave the metric out',
  });
}
