import { RepulsorError } from '../errors.ts';

/** Features of images (n, d), row-major, one row an image; or class probabilities (n, classes). */
export interface Features {
  readonly shape: readonly [rows: number, dim: number];
  readonly data: Float32Array;
}

/** The named rows, in that order, copied. */
export function selectRows({ shape: [, d], data }: Features, rows: readonly number[]): Features {
  const selected = new Float32Array(rows.length * d);
  for (const [i, row] of rows.entries()) selected.set(data.subarray(row * d, (row + 1) * d), i * d);
  return { shape: [rows.length, d], data: selected };
}

/** Each row divided by its length; a row of zeros stays one. In double precision. */
export function normalizedRows({ shape: [n, d], data }: Features): Float64Array {
  const rows = Float64Array.from(data);
  for (let i = 0; i < n; i++) {
    let square = 0;
    for (let k = i * d; k < (i + 1) * d; k++) square += rows[k] * rows[k];
    const length = Math.sqrt(square) || 1;
    for (let k = i * d; k < (i + 1) * d; k++) rows[k] /= length;
  }
  return rows;
}

/**
 * What every measure needs of its features. @throws RepulsorError USAGE for too few rows, a shape that does not fit the
 * data, or a number that is not finite; it names the row
 */
export function checkFeatures({ shape: [n, d], data }: Features, least: number, what: string): void {
  const hint = 'check what made the features: an image, or an extractor, that gives no numbers';
  if (data.length !== n * d)
    throw new RepulsorError('USAGE', `${what}: (${n}, ${d}) are not ${data.length} numbers`, { hint });
  if (n < least)
    throw new RepulsorError('USAGE', `${what} has ${n} rows; it takes at least ${least}`, { hint: 'give more images' });
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) throw new RepulsorError('USAGE', `${what}: row ${Math.floor(at / d)} holds ${data[at]}`, { hint });
}

/** @throws RepulsorError USAGE when two sets are of features of different widths */
export function checkSameDim(a: Features, b: Features): void {
  if (a.shape[1] === b.shape[1]) return;
  throw new RepulsorError('USAGE', `features of ${a.shape[1]} and of ${b.shape[1]} numbers cannot be compared`, {
    hint: 'make both with one extractor',
  });
}
