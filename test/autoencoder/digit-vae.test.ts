import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exportVae } from '../../scripts/digit-vae/export.ts';
import { measureVae } from '../../scripts/digit-vae/measure.ts';
import { decode, encode, IMAGE, LATENT, vaeLayout } from '../../scripts/digit-vae/model.ts';
import { trainVae } from '../../scripts/digit-vae/train.ts';
import { openVaeDecoder } from '../../src/autoencoder/vae-decoder.ts';
import { openVaeEncoder } from '../../src/autoencoder/vae-encoder.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openNativeEngine } from '../../src/engine/native/native-engine.ts';
import { digits } from '../../src/ingest/digits.ts';
import { initialParameters, unpack } from '../../src/model/parameters.ts';
import { runOnce } from '../engine/engines.ts';

let engine: Engine;
let folder: string;
let images: Uint8Array[];
beforeAll(async () => {
  engine = await openNativeEngine();
  folder = await mkdtemp(join(tmpdir(), 'repulsor-digit-vae-'));
  images = [];
  for await (const image of digits().images()) {
    if ('bytes' in image) images.push(image.bytes);
    if (images.length === 2_000) break;
  }
});
afterAll(async () => {
  engine.dispose();
  await rm(folder, { recursive: true });
});

const unit = (some: readonly Uint8Array[]) =>
  Float32Array.from(some.flatMap((image) => [...image].map((value) => value / 127.5 - 1)));

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}

test('the exported files compute what the engine computes with the same weights', async () => {
  const layout = vaeLayout();
  const flat = initialParameters(layout, 5).map((value, i) => value + 0.01 * Math.sin(i)); // biases, too
  const files = await exportVae(flat, join(folder, 'exported'));
  const some = images.slice(0, 5);
  const inputs = { images: { shape: [5, ...IMAGE], dtype: 'float32', data: unit(some) } } as const;
  const weights = { shape: [layout.size], dtype: 'float32', data: flat } as const;
  const wanted = await runOnce(engine, { ...inputs, weights }, ({ images: fed, weights: vector }) => {
    const parts = unpack(vector as never, layout);
    const { mean, logVariance } = encode(fed!, parts);
    return { mean, logVariance, decoded: decode(mean, parts) };
  });
  const encoder = await openVaeEncoder(files.encoder);
  const decoder = await openVaeDecoder(files.decoder);
  const posteriors = await encoder.encode(some, IMAGE);
  const means = Float32Array.from(posteriors.flatMap(({ mean }) => [...mean]));
  const logVariances = posteriors.flatMap(({ std }) => [...std!].map((value) => 2 * Math.log(value)));
  expect(posteriors[0]!.shape).toEqual(LATENT);
  expect(largestDifference(means, wanted['mean']!.data)).toBeLessThan(1e-5);
  expect(largestDifference(logVariances, wanted['logVariance']!.data)).toBeLessThan(1e-4);
  const decoded = await decoder.decode(means, LATENT);
  expect(decoded.shape).toEqual(IMAGE);
  expect(largestDifference(decoded.images, wanted['decoded']!.data)).toBeLessThan(1e-5);
  await encoder.close();
  await decoder.close();
});

test('two hundred steps of training halve the error of the mean digit, on digits not seen', async () => {
  const [train, others] = [images.slice(0, 1_600), images.slice(1_600)];
  const flat = await trainVae(engine, { images: unit(train), steps: 200, seed: 0 });
  const { error, drawnError, deviation } = await measureVae(await exportVae(flat, join(folder, 'trained')), others);
  const all = unit(others);
  const size = IMAGE[0] * IMAGE[1];
  const meanDigit = new Float32Array(size);
  for (let i = 0; i < all.length; i++) meanDigit[i % size]! += all[i]! / others.length;
  const errorOfMean = Math.sqrt(
    all.reduce((sum, value, i) => sum + (value - meanDigit[i % size]!) ** 2, 0) / all.length,
  );
  expect(error).toBeLessThan(errorOfMean / 2);
  // A draw keeps what the mean keeps, but for a little.
  expect(drawnError).toBeGreaterThan(error);
  expect(drawnError).toBeLessThan(1.2 * error);
  expect(deviation).toBeGreaterThan(0.2);
}, 120_000);
