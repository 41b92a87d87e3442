import { checkFeatures, checkSameDim, type Features, normalizedRows } from './features.ts';

/**
 * Alignment (Wang and Isola 2020): mean |x_i - y_i|^2 over positive pairs, row i of `x` with row i of `y`, normalised. 0 where
 * pairs are one, 2 where they have nothing to do with each other.
 * @throws RepulsorError USAGE when the two are not of one shape
 */
export function alignment(x: Features, y: Features): number {
  checkSameDim(x, y);
  checkFeatures(x, 1, 'the first of each pair');
  checkFeatures(y, x.shape[0], 'the second of each pair');
  const [a, b] = [normalizedRows(x), normalizedRows(y)];
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += (a[k] - b[k]) ** 2;
  return sum / x.shape[0];
}
