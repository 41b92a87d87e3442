import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import { classifierLayout } from '../../src/evaluation/classifier.ts';
import { DIGITS_CLASSIFIER, openClassifier, writeClassifier } from '../../src/evaluation/classifier-extractor.ts';
import { heldOut } from '../../src/evaluation/held-out.ts';
import { perturb } from '../../src/evaluation/perturb.ts';
import { sourceImages } from '../../src/evaluation/source-images.ts';
import { trainClassifier } from '../../src/evaluation/train-classifier.ts';
import { digits } from '../../src/ingest/digits.ts';
import { initialParameters } from '../../src/model/parameters.ts';
import { difference, float, OPEN } from '../engine/engines.ts';

const SETTINGS = { input: [28, 28, 1], classes: 10 } as const;
let native: Engine;
let folder: string;
let parts: Awaited<ReturnType<typeof heldOut>>;
const some = (n: number) => ({ images: parts.train.images.slice(0, n * 784), labels: parts.train.labels.slice(0, n) });

beforeAll(async () => {
  parts = await heldOut(await sourceImages(digits()));
  native = await OPEN.native();
  folder = await mkdtemp(join(tmpdir(), 'repulsor-classifier-'));
}, 120_000);
afterAll(async () => {
  native.dispose();
  await rm(folder, { recursive: true, force: true });
});

test('the classifier that comes along tells 99.6% of the 1,000 digits that it was not trained on', async () => {
  const { train, test: held } = parts;
  expect([train.labels.length, held.labels.length]).toEqual([9000, 1000]);
  const extractor = await openClassifier(native, DIGITS_CLASSIFIER);
  const { probabilities, features } = await extractor.extract(held.images, SETTINGS.input);
  const right = [...held.labels].filter((label, i) => {
    const row = probabilities!.data.subarray(10 * i, 10 * i + 10);
    return row.indexOf(Math.max(...row)) === label;
  });
  expect(right.length).toBe(996);
  expect(features.shape).toEqual([1000, 64]);
  extractor.dispose();
  // Small enough to lie in the repository.
  expect((await stat(DIGITS_CLASSIFIER)).size).toBeLessThan(300_000);
});

test('features do not depend on the engine, nor on how many images come at once', async () => {
  const { images } = some(117);
  const wasm = await OPEN.wasm();
  const [ours, others] = [
    await openClassifier(native, DIGITS_CLASSIFIER),
    await openClassifier(wasm, DIGITS_CLASSIFIER),
  ];
  const all = (await ours.extract(images, SETTINGS.input)).features;
  expect(all.shape).toEqual([117, 64]);
  const theirs = (await others.extract(images, SETTINGS.input)).features;
  expect(difference(float([117, 64], all.data), float([117, 64], theirs.data))).toBeLessThan(1e-4);
  const one = (await ours.extract(images.subarray(784 * 100, 784 * 101), SETTINGS.input)).features;
  expect(difference(float([64], one.data), float([64], all.data.subarray(6400, 6464)))).toBeLessThan(1e-5);
  ours.dispose();
  others.dispose();
  wasm.dispose();
});

test('training is a function of its seed, and what is written is what is read', async () => {
  const train = some(256);
  const losses: number[] = [];
  const make = (seed: number) =>
    trainClassifier(native, {
      ...{ settings: SETTINGS, train, epochs: 12, seed },
      onStep: (_step, _steps, loss) => losses.push(loss),
    });
  const weights = await make(1);
  expect(losses).toHaveLength(12 * 4);
  expect(losses.at(-1)).toBeLessThan(0.8 * losses[0]!);
  expect(await make(1)).toEqual(weights);
  expect(await make(2)).not.toEqual(weights);
  expect(weights.length).toBe(classifierLayout(SETTINGS).size);

  const file = join(folder, 'mine.safetensors');
  await writeClassifier(file, SETTINGS, weights, { source: 'test' });
  const extractor = await openClassifier(native, file);
  expect(extractor).toMatchObject({
    name: file,
    id: expect.stringMatching(/^classifier:[0-9a-f]{64}$/),
  });
  await expect(extractor.extract(new Float32Array(48), [4, 4, 3])).rejects.toThrow(
    /takes images of 28x28x1, these are 4x4x3/,
  );
  extractor.dispose();
});

test('an untrained classifier tells no more than chance', async () => {
  const file = join(folder, 'untrained.safetensors');
  await writeClassifier(file, SETTINGS, initialParameters(classifierLayout(SETTINGS), 3), {});
  const extractor = await openClassifier(native, file);
  const { images, labels } = some(300);
  const { probabilities } = await extractor.extract(images, SETTINGS.input);
  const right = [...labels].filter((label, i) => {
    const row = probabilities!.data.subarray(10 * i, 10 * i + 10);
    return row.indexOf(Math.max(...row)) === label;
  });
  expect(right.length / labels.length).toBeLessThan(0.35);
  extractor.dispose();
});

test('a file that is no classifier is refused', async () => {
  await expect(openClassifier(native, join(folder, 'none.safetensors'))).rejects.toMatchObject({ code: 'USAGE' });
  const other = new URL('../weights/fixtures/plain.safetensors', import.meta.url);
  await expect(openClassifier(native, other.pathname)).rejects.toThrow(/is no classifier of ours/);
});

test('a perturbed image is a function of seed and number, of the same range, and not far from its original', () => {
  const image = Float32Array.from({ length: 400 }, (_, i) => (Math.abs((i % 20) - 10) < 4 ? 1 : -1));
  const perturbed = perturb(image, [20, 20, 1], 0, 5);
  expect(perturb(image, [20, 20, 1], 0, 5)).toEqual(perturbed);
  expect(perturb(image, [20, 20, 1], 0, 6)).not.toEqual(perturbed);
  expect(Math.max(...perturbed)).toBeLessThanOrEqual(1);
  expect(Math.min(...perturbed)).toBeGreaterThanOrEqual(-1);
  const moved = perturbed.reduce((sum, value, i) => sum + Math.abs(value - image[i]!), 0) / 400;
  expect(moved).toBeLessThan(0.6);
  // One value everywhere stays so: its border goes on.
  expect(perturb(new Float32Array(75).fill(0.5), [5, 5, 3], 1, 1)).toEqual(new Float32Array(75).fill(0.5));
});
