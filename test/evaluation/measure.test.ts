import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeSafetensors } from '../../src/checkpoint/safetensors.ts';
import { writeSafetensorsFile } from '../../src/checkpoint/safetensors-file.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { engineProducts } from '../../src/evaluation/engine-products.ts';
import type { FeatureSet } from '../../src/evaluation/feature-set.ts';
import { readFeatures, writeFeatures } from '../../src/evaluation/features-file.ts';
import { type MeasureSettings, measure } from '../../src/evaluation/measure.ts';
import { openReferenceCache } from '../../src/evaluation/reference-cache.ts';
import type { Features } from '../../src/statistics/features.ts';
import { fid, withRoot } from '../../src/statistics/fid.ts';
import { gaussianOf } from '../../src/statistics/gaussian.ts';
import { hostProducts } from '../../src/statistics/pair-products.ts';
import { prdc } from '../../src/statistics/prdc.ts';
import { OPEN } from '../engine/engines.ts';
import { made, rows } from '../statistics/made-features.ts';

let folder: string;
let engine: Engine;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-measure-'));
  engine = await OPEN.native();
});
afterAll(async () => {
  engine.dispose();
  await rm(folder, { recursive: true, force: true });
});

function set(features: Features, labels?: readonly number[], probabilities: Features | null = null): FeatureSet {
  const none = Array<number>(features.shape[0]).fill(-1);
  return { features, probabilities, labels: Int32Array.from(labels ?? none), extractor: 'test' };
}

const settings: MeasureSettings = {
  metrics: ['fid'],
  perClass: false,
  kidSubsets: null,
  products: hostProducts,
  rooted: async ({ features }) => withRoot(gaussianOf(features)),
  note: () => {},
};

test('what is asked for is measured, each by its name', async () => {
  const [ours, theirs] = [set(made(30, 4, 1)), set(made(40, 4, 2))];
  expect(await measure(ours, theirs, settings)).toEqual({ fid: fid(ours.features, theirs.features) });
  const found = await measure(ours, theirs, { ...settings, metrics: ['kid', 'prdc'] });
  expect(Object.keys(found)).toEqual(['kid', 'kid_std', 'precision', 'recall', 'density', 'coverage']);
  expect(found).toMatchObject(await prdc(ours.features, theirs.features));
});

test('a class is measured against that class, and one with a single image has no distance', async () => {
  const [ours, theirs] = [made(31, 3, 1), made(40, 3, 2)];
  const labels = [...Array.from({ length: 30 }, (_, i) => i % 2), 2];
  const found = await measure(
    set(ours, labels),
    set(
      theirs,
      Array.from({ length: 40 }, (_, i) => i % 2),
    ),
    { ...settings, perClass: true },
  );
  const odd = (features: Features, n: number): Features => {
    const of = [...Array(n).keys()].filter((i) => i % 2 === 1);
    return rows(...of.map((i) => [...features.data.subarray(3 * i, 3 * i + 3)]));
  };
  expect(found['per_class']).toMatchObject({
    1: { fid: fid(odd(ours, 30), odd(theirs, 40)), samples: 15, reference_images: 20 },
    2: { fid: null, samples: 1, reference_images: 0 },
  });
  await expect(measure(set(ours), set(theirs), { ...settings, perClass: true })).rejects.toThrow(/has no label/);
});

test('accuracy is the share of images told as they were asked, and needs probabilities', async () => {
  const probabilities = rows([0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]);
  const ours = set(made(4, 2, 1), [0, 1, 1, 1], probabilities);
  const found = await measure(ours, ours, { ...settings, metrics: ['accuracy'], perClass: true });
  expect(found['accuracy']).toBe(0.75);
  expect(found['per_class']).toMatchObject({ 0: { accuracy: 1 }, 1: { accuracy: 2 / 3 } });
  const without = set(made(4, 2, 1), [0, 1, 1, 1]);
  await expect(measure(without, ours, { ...settings, metrics: ['is'] })).rejects.toThrow(/needs class probabilities/);
});

test('products on the engine are those of the host, over blocks that are not full', async () => {
  const [a, b] = [made(1030, 3, 1), made(70, 3, 2)];
  const { products, dispose } = await engineProducts(engine, 3);
  const [fast, exact] = [await prdc(a, b, { products }), await prdc(a, b)];
  for (const [name, value] of Object.entries(exact)) expect(fast[name as keyof typeof fast]).toBeCloseTo(value, 2);
  const [few, those] = [await products(b, b), await hostProducts(b, b)];
  expect(few.length).toBe(4900);
  expect(Math.max(...few.map((value, i) => Math.abs(value - those[i]!)))).toBeLessThan(1e-6);
  dispose();
});

test('a features file gives back what was written, and takes other programs’ matrices', async () => {
  const whole = set(made(5, 3, 1), [0, 1, 2, -1, 4], made(5, 2, 2));
  await writeFeatures(join(folder, 'whole.safetensors'), whole, { run: 'r' });
  expect(await readFeatures(join(folder, 'whole.safetensors'))).toEqual(whole);
  const { shape, data } = made(4, 2, 1);
  const foreign = join(folder, 'foreign.safetensors');
  await writeSafetensorsFile(foreign, encodeSafetensors({ pool3: { shape, data, dtype: 'float32' } }));
  expect(await readFeatures(foreign)).toEqual({ ...set(made(4, 2, 1)), extractor: null });
  const strange = join(folder, 'strange.safetensors');
  await writeSafetensorsFile(
    strange,
    encodeSafetensors({ x: { shape: [2], data: Float32Array.of(1, 2), dtype: 'float32' } }),
  );
  await expect(readFeatures(strange)).rejects.toThrow(/no tensor "features"/);
  await expect(readFeatures(join(folder, 'none'))).rejects.toMatchObject({ code: 'USAGE' });
});

test('a reference is made once: by its images and extractor, and its Gaussian by its features, to the last bit', async () => {
  const cache = openReferenceCache(join(folder, 'cache'));
  let calls = 0;
  const make = async () => {
    calls++;
    return set(made(20, 3, 1), Array(20).fill(1));
  };
  const first = await cache.features('images', 'extractor', make);
  expect(await cache.features('images', 'extractor', make)).toEqual(first);
  expect(calls).toBe(1);
  await cache.features('images', 'other extractor', make);
  await cache.features('other images', 'extractor', make);
  expect(calls).toBe(3);

  const rooted = await cache.rooted(first);
  expect(await cache.rooted(first)).toEqual(rooted);
  expect(rooted).toEqual(withRoot(gaussianOf(first.features)));
  expect((await readdir(join(folder, 'cache'))).filter((name) => name.startsWith('gaussian-'))).toHaveLength(1);
  await cache.rooted(set(made(20, 3, 2)));
  expect((await readdir(join(folder, 'cache'))).filter((name) => name.startsWith('gaussian-'))).toHaveLength(2);
});
