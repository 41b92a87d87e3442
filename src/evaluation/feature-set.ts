import { type Features, selectRows } from '../statistics/features.ts';

/** What an extractor made of a set of images. */
export interface FeatureSet {
  readonly features: Features;
  /** (n, classes), of an extractor that tells classes. */
  readonly probabilities: Features | null;
  /** (n), -1 where an image has none: of a generated image the class that it was asked as. */
  readonly labels: Int32Array;
  /** The extractor's id; null where it is not known. */
  readonly extractor: string | null;
}

/** The rows of the named classes; the set itself where all are wanted. */
export function ofClasses(set: FeatureSet, wanted: readonly number[] | null): FeatureSet {
  if (wanted === null) return set;
  const rows = [...set.labels.keys()].filter((i) => wanted.includes(set.labels[i]!));
  return {
    features: selectRows(set.features, rows),
    probabilities: set.probabilities && selectRows(set.probabilities, rows),
    labels: Int32Array.from(rows, (i) => set.labels[i]!),
    extractor: set.extractor,
  };
}
