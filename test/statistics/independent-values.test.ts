import { expect, test } from 'vitest';
import { alignment } from '../../src/statistics/alignment.ts';
import { effectiveRank } from '../../src/statistics/effective-rank.ts';
import { fid } from '../../src/statistics/fid.ts';
import { inceptionScore } from '../../src/statistics/inception-score.ts';
import { kid } from '../../src/statistics/kid.ts';
import { knnAccuracy } from '../../src/statistics/knn-accuracy.ts';
import { linearProbe } from '../../src/statistics/linear-probe.ts';
import { prdc } from '../../src/statistics/prdc.ts';
import { uniformity } from '../../src/statistics/uniformity.ts';
import values from './independent-values.json' with { type: 'json' };
import { made } from './made-features.ts';

// What numpy, scipy and scikit-learn give for the same features: make_values.py says how.

const a = made(60, 6, 1);
const b = { ...made(75, 6, 2), data: made(75, 6, 2).data.map((value) => value * 1.25 + 0.1) };
const wide = made(8, 12, 3);
const labels = Array.from({ length: 60 }, (_, i) => Math.floor((i * 7) / 5) % 3);
const told = { ...a, data: a.data.map((value, at) => value + (at % 6 === labels[Math.floor(at / 6)] ? 0.25 : 0)) };

/** Of 20 numbers, where it shows how much the linear map is held back. */
function told20() {
  const { shape, data } = made(60, 20, 9);
  return { shape, data: data.map((value, at) => value + (at % 20 === labels[Math.floor(at / 20)] ? 0.2 : 0)) };
}

test('FID is that of scipy’s general matrix square root', () => {
  expect(fid(b, a)).toBeCloseTo(values.fid, 9);
});

test('FID of fewer images than features, where both covariances are singular', () => {
  // scipy's root of a singular product is good to about 1e-7 only.
  expect(fid(made(9, 12, 4), wide)).toBeCloseTo(values.fidOfFewerImagesThanFeatures, 5);
});

test('KID over all rows is the unbiased estimate', async () => {
  expect((await kid(b, a, { subsets: null })).mean).toBeCloseTo(values.kid, 9);
});

test('precision, recall, density and coverage', async () => {
  const found = await prdc(b, a);
  for (const [name, value] of Object.entries(values.prdc))
    expect(found[name as keyof typeof found]).toBeCloseTo(value, 12);
});

test('the Inception score and its spread over splits', () => {
  const p = made(60, 4, 5);
  const data = p.data.map((value, at) => {
    const row = p.data.subarray(4 * Math.floor(at / 4), 4 * Math.floor(at / 4) + 4);
    return (value + 0.01) / row.reduce((sum, other) => sum + other + 0.01, 0);
  });
  const score = inceptionScore({ ...p, data }, { splits: 5 });
  expect(score.mean).toBeCloseTo(values.inceptionScore.mean, 6);
  expect(score.std).toBeCloseTo(values.inceptionScore.std, 6);
});

test('alignment, uniformity and effective rank', () => {
  expect(alignment(a, made(60, 6, 2))).toBeCloseTo(values.alignment, 12);
  expect(uniformity(a)).toBeCloseTo(values.uniformity, 12);
  expect(effectiveRank(a)).toBeCloseTo(values.effectiveRank, 6);
  expect(effectiveRank(wide)).toBeCloseTo(values.effectiveRankWide, 5);
});

test('the accuracies of nearest neighbours and of a linear map', () => {
  expect(knnAccuracy(told, labels, { k: 5 })).toBe(values.knnAccuracy);
  expect(linearProbe(told, labels, { classes: 3 })).toBe(values.linearProbe);
  const many = told20();
  for (const [alpha, share] of Object.entries(values.linearProbeByAlpha))
    expect(linearProbe(many, labels, { classes: 3, alpha: Number(alpha) }), alpha).toBe(share);
});
