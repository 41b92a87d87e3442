import { checkFeatures, type Features, normalizedRows } from './features.ts';

/**
 * Uniformity (Wang and Isola 2020): log mean_{i < j} exp(-2 |x_i - x_j|^2) of normalised rows. 0 where all are one point; the
 * lower, the more evenly they lie on the sphere.
 * @throws RepulsorError USAGE for fewer than 2 rows
 */
export function uniformity(features: Features): number {
  checkFeatures(features, 2, 'a set of features');
  const [n, d] = features.shape;
  const rows = normalizedRows(features);
  let sum = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < i; j++) {
      let squared = 0;
      for (let k = 0; k < d; k++) squared += (rows[i * d + k] - rows[j * d + k]) ** 2;
      sum += Math.exp(-2 * squared);
    }
  return Math.log(sum / ((n * (n - 1)) / 2));
}
