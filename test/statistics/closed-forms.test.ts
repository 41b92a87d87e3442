import { expect, test } from 'vitest';
import { normals } from '../../src/random/philox.ts';
import { alignment } from '../../src/statistics/alignment.ts';
import { effectiveRank } from '../../src/statistics/effective-rank.ts';
import type { Features } from '../../src/statistics/features.ts';
import { fid, frechetDistance, withRoot } from '../../src/statistics/fid.ts';
import { type Gaussian, gaussianOf } from '../../src/statistics/gaussian.ts';
import { inceptionScore } from '../../src/statistics/inception-score.ts';
import { kid } from '../../src/statistics/kid.ts';
import { knnAccuracy } from '../../src/statistics/knn-accuracy.ts';
import { linearProbe } from '../../src/statistics/linear-probe.ts';
import { prdc, precisionRecall } from '../../src/statistics/prdc.ts';
import { uniformity } from '../../src/statistics/uniformity.ts';
import { made, rows } from './made-features.ts';

function gaussian(mean: readonly number[], covariance: readonly number[]): Gaussian {
  return { count: 1000, dim: mean.length, mean: Float64Array.from(mean), covariance: Float64Array.from(covariance) };
}

/** The cosines and sines of a turn, as a rotation R; returns R diag(s) R^T. */
function turned(angle: number, [s, t]: readonly [number, number]): number[] {
  const [c, n] = [Math.cos(angle), Math.sin(angle)];
  return [s * c * c + t * n * n, (s - t) * c * n, (s - t) * c * n, s * n * n + t * c * c];
}

test('the distance of normal distributions with one diagonal basis: |m1 - m2|^2 + sum (s1 - s2)^2', () => {
  const a = gaussian([1, -2], turned(0.7, [4, 9]));
  const b = gaussian([4, 2], turned(0.7, [25, 1]));
  expect(frechetDistance(withRoot(a), b)).toBeCloseTo(25 + (2 - 5) ** 2 + (3 - 1) ** 2, 10);
});

test('in two dimensions Tr (S1 S2)^(1/2) = sqrt(Tr S1 S2 + 2 sqrt(det S1 det S2)), whatever the bases', () => {
  const [s1, s2] = [turned(0.3, [4, 9]), turned(1.4, [2, 16])];
  const product = s1[0]! * s2[0]! + 2 * s1[1]! * s2[1]! + s1[3]! * s2[3]!;
  const root = Math.sqrt(product + 2 * Math.sqrt(4 * 9 * 2 * 16));
  expect(frechetDistance(withRoot(gaussian([0, 0], s1)), gaussian([0, 0], s2))).toBeCloseTo(13 + 18 - 2 * root, 10);
});

test('a covariance without any width in one direction has a distance too', () => {
  const flat = gaussian([0, 0], turned(0.5, [4, 0]));
  expect(frechetDistance(withRoot(flat), flat)).toBeCloseTo(0, 6);
  // To all of the plane: Tr S1 + Tr S2 - 2 sqrt(4 e S2 e), e the one direction there is.
  expect(frechetDistance(withRoot(flat), gaussian([0, 0], [9, 0, 0, 9]))).toBeCloseTo(4 + 18 - 2 * 6, 6);
});

test('the covariance has n - 1 below, and a mean far from 0 costs it no digits', () => {
  const { mean, covariance } = gaussianOf(rows([1e6, 0], [1e6 + 1, 2], [1e6 + 2, 1]));
  expect([...mean]).toEqual([1e6 + 1, 1]);
  expect([...covariance]).toEqual([1, 0.5, 0.5, 1]);
});

test('more rows than are summed at a time give the covariance that they define', () => {
  const { shape, data } = made(300, 3, 9);
  const { mean, covariance } = gaussianOf({ shape, data });
  let sum = 0;
  for (let i = 0; i < 300; i++) sum += (data[3 * i]! - mean[0]!) * (data[3 * i + 2]! - mean[2]!);
  expect(covariance[2]).toBeCloseTo(sum / 299, 12);
});

test('FID of a set with itself is 0, and of one moved by v is |v|^2', () => {
  const set = made(50, 5, 1);
  expect(fid(set, set)).toBeLessThan(1e-9);
  const moved = { ...set, data: set.data.map((value) => value + 0.5) };
  expect(fid(moved, set)).toBeCloseTo(5 * 0.25, 5);
});

test('KID of two sets of points, by hand', async () => {
  // d = 1: kernel (xy + 1)^3. x = {0, 1}: k(0,1) = 1. y = {2, 3}: k(2,3) = 343. Across: 1, 1, 27, 64.
  const exact = await kid(rows([0], [1]), rows([2], [3]), { subsets: null });
  expect(exact.mean).toBeCloseTo(1 + 343 - 2 * ((1 + 1 + 27 + 64) / 4), 9);
});

test('KID of subsets is drawn by the seed, and near 0 for two halves of one distribution', async () => {
  const set = (purpose: string): Features => ({ shape: [400, 4], data: normals(1, purpose, 0, 1600) });
  const settings = { count: 20, size: 100, seed: 3 };
  const once = await kid(set('x'), set('y'), { subsets: settings });
  expect(await kid(set('x'), set('y'), { subsets: settings })).toEqual(once);
  expect((await kid(set('x'), set('y'), { subsets: { ...settings, seed: 4 } })).mean).not.toBe(once.mean);
  expect(Math.abs(once.mean)).toBeLessThan(3 * once.std);
  // One subset of everything is the exact estimate, in another order.
  const all = await kid(set('x'), set('y'), { subsets: { count: 1, size: 400, seed: 0 } });
  expect(all.mean).toBeCloseTo((await kid(set('x'), set('y'), { subsets: null })).mean, 10);
});

test('more rows than a block of products count alike', async () => {
  const [x, y] = [made(1100, 2, 1), made(1030, 2, 7)];
  let [xx, yy, xy] = [0, 0, 0];
  const k = (a: Features, i: number, b: Features, j: number) =>
    ((a.data[2 * i]! * b.data[2 * j]! + a.data[2 * i + 1]! * b.data[2 * j + 1]!) / 2 + 1) ** 3;
  for (let i = 0; i < 1100; i++) for (let j = 0; j < 1100; j++) if (i !== j) xx += k(x, i, x, j);
  for (let i = 0; i < 1030; i++) for (let j = 0; j < 1030; j++) if (i !== j) yy += k(y, i, y, j);
  for (let i = 0; i < 1100; i++) for (let j = 0; j < 1030; j++) xy += k(x, i, y, j);
  const expected = xx / (1100 * 1099) + yy / (1030 * 1029) - (2 * xy) / (1100 * 1030);
  expect((await kid(x, y, { subsets: null })).mean).toBeCloseTo(expected, 9);
});

test('precision, recall, density and coverage of points on a line, by hand', async () => {
  const reference = rows([0], [1], [2], [10]);
  const generated = rows([1.5], [3.5], [100], [101]);
  // k = 1: balls of radius 1, 1, 1, 8 about the reference; 2, 2, 1, 1 about the generated.
  expect(await prdc(generated, reference, { k: 1, densityK: 1 })).toEqual({
    precision: 2 / 4, // 1.5 and 3.5, which 10's ball holds
    recall: 3 / 4, // 0 is 1.5 from 1.5; 10 is in no ball
    density: 3 / 4, // 1.5 lies in the balls of 1 and 2, 3.5 in that of 10
    coverage: 3 / 4,
  });
  expect(await precisionRecall(generated, reference, { k: 1 })).toEqual({ precision: 0.5, recall: 0.75 });
});

test('sets that are one have all four at 1 or above; sets far apart have none', async () => {
  const set = made(40, 3, 1);
  const far = { ...set, data: set.data.map((value) => value + 100) };
  expect(await prdc(set, set)).toMatchObject({ precision: 1, recall: 1, coverage: 1 });
  expect(await prdc(far, set)).toEqual({ precision: 0, recall: 0, density: 0, coverage: 0 });
});

test('the Inception score goes from 1, all images one answer, to the number of classes', () => {
  expect(inceptionScore(rows([0.2, 0.8], [0.2, 0.8]), { splits: 1 }).mean).toBeCloseTo(1, 6);
  expect(inceptionScore(rows([1, 0, 0], [0, 1, 0], [0, 0, 1]), { splits: 1 }).mean).toBeCloseTo(3, 6);
});

test('alignment is 0 for one direction, 2 for right angles, 4 for opposites; lengths do not count', () => {
  expect(alignment(rows([1, 0]), rows([5, 0]))).toBe(0);
  expect(alignment(rows([1, 0], [1, 0]), rows([0, 3], [-2, 0]))).toBeCloseTo(3, 12);
});

test('uniformity of one point is 0, of two opposite points -8', () => {
  expect(uniformity(rows([1, 0], [2, 0], [7, 0]))).toBeCloseTo(0, 12);
  expect(uniformity(rows([1, 0], [-1, 0]))).toBeCloseTo(-8, 12);
});

test('effective rank is 1 on a line, d for equal singular values, and what the entropy of unequal ones says', () => {
  expect(effectiveRank(rows([1, 2, 3], [2, 4, 6]))).toBeCloseTo(1, 4);
  expect(effectiveRank(rows([2, 0, 0], [0, 2, 0], [0, 0, 2]))).toBeCloseTo(3, 4);
  const entropy = -(0.75 * Math.log(0.75) + 0.25 * Math.log(0.25));
  expect(effectiveRank(rows([3, 0], [0, 1], [0, 0]))).toBeCloseTo(Math.exp(entropy), 4);
});

test('nearest neighbours and a linear map tell classes that are apart, and neither tells labels without meaning', () => {
  const noise = normals(0, 'probe', 0, 400);
  const labels = Array.from({ length: 100 }, (_, i) => (i * 7) % 5);
  const apart = noise.map((value, at) => 0.1 * value + (at % 4 === labels[Math.floor(at / 4)]! - 1 ? 3 : 0.01));
  expect(knnAccuracy({ shape: [100, 4], data: apart }, labels, { k: 5 })).toBeGreaterThan(0.75);
  expect(linearProbe({ shape: [100, 4], data: apart }, labels, { classes: 5 })).toBe(1);
  expect(linearProbe({ shape: [100, 4], data: noise }, labels, { classes: 5 })).toBeLessThan(0.5);
});

test('features that are no numbers, too few, or of another width are refused by what is wrong', async () => {
  expect(() => fid(rows([1, 2], [Number.NaN, 2]), rows([1, 2], [3, 4]))).toThrow(/row 1 holds NaN/);
  expect(() => fid(rows([1]), rows([1], [2]))).toThrow(/has 1 rows; it takes at least 2/);
  expect(() => fid(rows([1, 2], [3, 4]), rows([1], [2]))).toThrow(/1 and of 2|2 and of 1/);
  await expect(prdc(made(4, 2, 1), made(5, 2, 1))).rejects.toThrow(/the reference has 5 rows; it takes at least 6/);
});
