import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openEngine } from '../../src/engine/choose.ts';
import type { Engine, HostTensor } from '../../src/engine/engine.ts';
import { initialParameters, parameterLayout } from '../../src/model/parameters.ts';
import { type SiTSettings, sitSpecs } from '../../src/model/sit.ts';
import { normals } from '../../src/random/philox.ts';
import { type SampleRequest, sample } from '../../src/sampling/sampler.ts';

const MODEL: SiTSettings = {
  ...{ input: [4, 4, 1], patch: 2, width: 8, depth: 1, heads: 2, mlpRatio: 2, classes: 3, timeScale: 10 },
  learnSigma: false,
};
const SIZE = 16;
const layout = parameterLayout(sitSpecs(MODEL));

let engine: Engine;
let parameters: HostTensor;
beforeAll(async () => {
  ({ engine } = await openEngine({ name: 'cpu' }));
  // A model that has learnt something: the zeros that it begins with would hide every mistake.
  const noise = normals(2, 'weights', 0, layout.size);
  const data = initialParameters(layout, 1).map((value, i) => value + 0.2 * noise[i]!);
  parameters = { shape: [layout.size], dtype: 'float32', data };
});
afterAll(() => engine.dispose());

const draw = (over: Partial<SampleRequest> = {}) =>
  sample(engine, {
    ...{ model: MODEL, layout, parameters, labels: [0, 1, 2], solver: 'euler', steps: 1, guidance: 1, seed: 5 },
    ...over,
  });

const closeTo = (actual: Float32Array, expected: Float32Array | number[]) =>
  expect(Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThan(1e-4);

describe('guidance', () => {
  test('is v_null + s (v_label - v_null): with one Euler step the images lie on one line', async () => {
    const labels = [0, 2];
    const [none, plain, twice, half] = await Promise.all([0, 1, 2, 0.5].map((guidance) => draw({ labels, guidance })));
    closeTo(
      twice!,
      plain!.map((value, i) => 2 * value - none![i]!),
    );
    closeTo(
      half!,
      plain!.map((value, i) => (value + none![i]!) / 2),
    );
    expect(plain).not.toEqual(none);
  });

  test('of 0 forgets the label', async () => {
    const [a, b] = await Promise.all([[0], [2]].map((labels) => draw({ labels, guidance: 0 })));
    closeTo(a!, b!);
  });

  test('of 1, which takes the shorter way, is the limit of the longer one', async () => {
    closeTo(await draw({ guidance: 1, steps: 3 }), await draw({ guidance: 1 + 1e-7, steps: 3 }));
  });
});

describe('an image', () => {
  test('starts from its own noise: of a model that does nothing it is that noise', async () => {
    const still = { ...parameters, data: initialParameters(layout, 1) };
    const images = await draw({ parameters: still, steps: 3, solver: 'heun' });
    for (const i of [0, 1, 2]) expect(images.subarray(i * SIZE, (i + 1) * SIZE)).toEqual(normals(5, 'sample', i, SIZE));
  });

  test('depends on its place, its label and the seed, not on how many are drawn', async () => {
    const many = await draw({ labels: [2, 1, 0, 1] });
    closeTo(await draw({ labels: [2, 1] }), many.subarray(0, 2 * SIZE));
    expect(await draw({ labels: [2, 1], seed: 6 })).not.toEqual(many.slice(0, 2 * SIZE));
  });

  test('comes through when there are more than one call of the engine takes', async () => {
    const labels = Array.from({ length: 103 }, (_, i) => i % 3);
    const told: number[] = [];
    const images = await draw({ labels, onProgress: (done) => told.push(done) });
    expect(images).toHaveLength(103 * SIZE);
    expect(told).toEqual([0.5, 1]);
    closeTo(images.slice(0, 3 * SIZE), await draw({ labels: [0, 1, 2] }));
    closeTo(images.slice(102 * SIZE), (await draw({ labels: labels.map(() => 0) })).slice(102 * SIZE));
  });
});

test('Heun is told of as two evaluations a step', async () => {
  const told: number[] = [];
  await draw({ solver: 'heun', steps: 2, onProgress: (done) => told.push(done) });
  expect(told).toEqual([0.25, 0.5, 0.75, 1]);
});
