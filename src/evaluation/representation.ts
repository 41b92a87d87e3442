import { alignment } from '../statistics/alignment.ts';
import { effectiveRank } from '../statistics/effective-rank.ts';
import type { Features } from '../statistics/features.ts';
import { knnAccuracy } from '../statistics/knn-accuracy.ts';
import { linearProbe } from '../statistics/linear-probe.ts';
import { uniformity } from '../statistics/uniformity.ts';

/** Features of the same images seen twice, each time with other noise, and the images' classes. */
export interface Views {
  readonly first: Features;
  readonly second: Features;
  /** (n); -1 where an image has none. */
  readonly labels: Int32Array;
  readonly classes: number;
}

/** What features say of the images they are of, and how they lie. */
export interface Representation {
  /** Of the two views of an image: near 0 the noise does not matter. */
  readonly alignment: number;
  readonly uniformity: number;
  readonly effectiveRank: number;
  /** Null where an image has no label. */
  readonly knnAccuracy: number | null;
  readonly linearProbe: number | null;
}

/** By the names of JSON results. */
const NAMES = {
  alignment: 'alignment',
  uniformity: 'uniformity',
  effective_rank: 'effectiveRank',
  knn_accuracy: 'knnAccuracy',
  linear_probe: 'linearProbe',
} as const satisfies Record<string, keyof Representation>;
export type RepresentationMetric = keyof typeof NAMES;
export const REPRESENTATION_METRICS = Object.keys(NAMES) as readonly RepresentationMetric[];

export const isRepresentationMetric = (name: string): name is RepresentationMetric => Object.hasOwn(NAMES, name);

/** As a JSON result tells it. */
export function representationForMachines(found: Representation): Record<RepresentationMetric, number | null> {
  const entries = REPRESENTATION_METRICS.map((metric) => [metric, found[NAMES[metric]]]);
  return Object.fromEntries(entries) as Record<RepresentationMetric, number | null>;
}

const NEIGHBOURS = 20;

/** All but the alignment of the first view alone. */
export function representation({ first, second, labels, classes }: Views): Representation {
  const labelled = !labels.includes(-1);
  const k = Math.min(NEIGHBOURS, first.shape[0] - 1);
  return {
    alignment: alignment(first, second),
    uniformity: uniformity(first),
    effectiveRank: effectiveRank(first),
    knnAccuracy: labelled ? knnAccuracy(first, labels, { k }) : null,
    linearProbe: labelled ? linearProbe(first, labels, { classes }) : null,
  };
}
