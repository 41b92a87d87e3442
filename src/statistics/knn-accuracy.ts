import { checkFeatures, type Features, normalizedRows } from './features.ts';
import { Least } from './nearest.ts';

/** The weight of a neighbour at cosine s is exp(s / this). */
const TEMPERATURE = 0.07;

/**
 * Share of images whose class their k nearest others tell, by cosine: each votes with exp(cosine / 0.07) (Wu et al. 2018).
 * Each image is asked of all others (leave one out). Of equal votes the lower class wins.
 * @throws RepulsorError USAGE for no more than k rows
 */
export function knnAccuracy(features: Features, labels: ArrayLike<number>, { k = 20 }: { k?: number } = {}): number {
  checkFeatures(features, k + 1, 'a set of features');
  const [n, d] = features.shape;
  const rows = normalizedRows(features);
  const nearest = Array.from({ length: n }, () => new Least(k));
  for (let i = 0; i < n; i++)
    for (let j = 0; j < i; j++) {
      let cosine = 0;
      for (let c = 0; c < d; c++) cosine += rows[i * d + c] * rows[j * d + c];
      nearest[i].offer(-cosine, j);
      nearest[j].offer(-cosine, i);
    }
  let right = 0;
  for (let i = 0; i < n; i++) if (votedClass(nearest[i], labels) === labels[i]) right++;
  return right / n;
}

function votedClass({ values, items }: Least, labels: ArrayLike<number>): number {
  const votes = new Map<number, number>();
  for (const [at, item] of items.entries()) {
    const label = labels[item]!;
    votes.set(label, (votes.get(label) ?? 0) + Math.exp(-values[at] / TEMPERATURE));
  }
  const ranked = [...votes].sort(([a, x], [b, y]) => y - x || a - b);
  return ranked[0]![0];
}
