import { checkFeatures, type Features } from './features.ts';

/** Mean (d) and covariance (d, d), row-major, of n features; double precision. */
export interface Gaussian {
  readonly count: number;
  readonly dim: number;
  readonly mean: Float64Array;
  readonly covariance: Float64Array;
}

/** Rows whose products are summed at a time: their columns then stay in the processor's cache. */
const ROWS = 128;

/**
 * Mean, and covariance with n - 1 in the denominator, as numpy.cov has it. Two passes: the mean is taken off before the
 * products are summed, so that a mean far from 0 costs no digits.
 * @throws RepulsorError USAGE for fewer than 2 rows
 */
export function gaussianOf(features: Features): Gaussian {
  checkFeatures(features, 2, 'a set of features');
  const {
    shape: [n, d],
    data,
  } = features;
  const mean = new Float64Array(d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) mean[j] += data[i * d + j];
  for (let j = 0; j < d; j++) mean[j] /= n;

  const covariance = new Float64Array(d * d);
  const columns = new Float64Array(d * ROWS); // (d, ROWS), centred
  for (let first = 0; first < n; first += ROWS) {
    const rows = Math.min(ROWS, n - first);
    for (let k = 0; k < rows; k++)
      for (let j = 0; j < d; j++) columns[j * ROWS + k] = data[(first + k) * d + j] - mean[j];
    for (let i = 0; i < d; i++)
      for (let j = i; j < d; j++) {
        let sum = 0;
        for (let k = 0, a = i * ROWS, b = j * ROWS; k < rows; k++) sum += columns[a + k] * columns[b + k];
        covariance[i * d + j] += sum;
      }
  }
  for (let i = 0; i < d; i++)
    for (let j = i; j < d; j++) {
      covariance[i * d + j] /= n - 1;
      covariance[j * d + i] = covariance[i * d + j];
    }
  return { count: n, dim: d, mean, covariance };
}
