import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openEngine } from '../../src/engine/choose.ts';
import type { Engine, HostTensor } from '../../src/engine/engine.ts';
import { initialParameters, parameterLayout } from '../../src/model/parameters.ts';
import { type SiTSettings, sitSpecs } from '../../src/model/sit.ts';
import { normals } from '../../src/random/philox.ts';
import { openSampler, type SampleRequest, sample } from '../../src/sampling/sampler.ts';
import { definePipeline } from '../../src/trainer/pipeline.ts';

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

const { sampling, transport } = definePipeline({ name: 'none', source: { topic: 'none' }, model: MODEL });
const PLAIN = { ...sampling, solver: 'euler', steps: 1, guidance: 1 } as const;

type Over = Partial<SampleRequest['sampling']> & Partial<Omit<SampleRequest, 'sampling'>>;

async function draw(over: Over = {}): Promise<Float32Array> {
  const { solver, steps, guidance, guidanceInterval, guidedChannels, sde, rtol, ...rest } = over;
  const chosen = Object.entries({ solver, steps, guidance, guidanceInterval, guidedChannels, sde, rtol });
  const how = { ...PLAIN, ...Object.fromEntries(chosen.filter(([, value]) => value !== undefined)) };
  const base = { model: MODEL, transport, layout, parameters, labels: [0, 1, 2], seed: 5 };
  return (await sample(engine, { ...base, ...rest, sampling: how })).images;
}

const apart = (actual: Float32Array, expected: Float32Array | number[]) =>
  Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!)));

const closeTo = (actual: Float32Array, expected: Float32Array | number[]) =>
  expect(apart(actual, expected)).toBeLessThan(1e-4);

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

describe('guidance in an interval', () => {
  test('is none before and after it', async () => {
    const whole = { guidance: 3, steps: 4, labels: [0, 2] };
    closeTo(await draw({ ...whole, guidanceInterval: [0.3, 0.4] }), await draw({ ...whole, guidance: 1 + 1e-7 }));
    // The grid is 0, 1/4, 1/2, 3/4: both ends belong to the interval.
    const early = await draw({ ...whole, guidanceInterval: [0, 0.25] });
    closeTo(early, await draw({ ...whole, guidanceInterval: [0, 0.49] }));
    expect(apart(early, await draw({ ...whole, guidanceInterval: [0, 0.5] }))).toBeGreaterThan(1e-3);
    expect(apart(early, await draw({ ...whole, guidanceInterval: [0, 0.2] }))).toBeGreaterThan(1e-3);
    closeTo(await draw({ ...whole, guidanceInterval: [0, 1] }), await draw(whole));
  });
});

describe('guidance of some channels', () => {
  const model: SiTSettings = { ...MODEL, input: [2, 2, 4] };
  const wide = parameterLayout(sitSpecs(model));
  const noise = normals(3, 'weights', 0, wide.size);
  const data = initialParameters(wide, 1).map((value, i) => value + 0.2 * noise[i]!);
  const weights: HostTensor = { shape: [wide.size], dtype: 'float32', data };
  const four = (over: Over) => draw({ model, layout: wide, parameters: weights, labels: [0, 2], ...over });

  test('guides the first three of four as the official code does, and the fourth goes by its label', async () => {
    const [all, none, three] = [
      await four({ guidance: 4 }),
      await four({ guidance: 1 }),
      await four({ guidance: 4, guidedChannels: 3 }),
    ];
    closeTo(
      three,
      all.map((value, i) => (i % 4 === 3 ? none[i]! : value)),
    );
    expect(apart(three, all)).toBeGreaterThan(1e-2);
  });

  test('of as many as there are is guidance of all', async () => {
    expect(await four({ guidance: 4, guidedChannels: 4 })).toEqual(await four({ guidance: 4 }));
    expect(await four({ guidance: 4, guidedChannels: 9 })).toEqual(await four({ guidance: 4 }));
  });
});

describe('from given noise', () => {
  test('the images are those of the seed that it came of', async () => {
    const noise = Float32Array.from([0, 1, 2].flatMap((i) => [...normals(5, 'sample', i, SIZE)]));
    for (const solver of ['heun', 'euler-maruyama'] as const)
      expect(await draw({ noise, solver, steps: 3 })).toEqual(await draw({ solver, steps: 3 }));
    expect(await draw({ noise: noise.map((z) => -z) })).not.toEqual(await draw());
  });
});

describe.each(['dopri5', 'euler-maruyama'] as const)('an image that %s draws', (solver) => {
  test('depends on its place, its label and the seed, not on how many are drawn', async () => {
    const many = await draw({ labels: [2, 1, 0, 1], solver, steps: 4 });
    closeTo(await draw({ labels: [2, 1], solver, steps: 4 }), many.subarray(0, 2 * SIZE));
    closeTo(await draw({ labels: [2, 1, 1, 1, 2], solver, steps: 4 }), [
      ...many.subarray(0, 2 * SIZE),
      ...(await draw({ labels: [0, 0, 1, 1, 2], solver, steps: 4 })).subarray(2 * SIZE),
    ]);
    expect(apart(await draw({ labels: [2, 1], seed: 6, solver, steps: 4 }), many.slice(0, 2 * SIZE))).toBeGreaterThan(
      1e-2,
    );
  });
});

test('dopri5 agrees with a fine grid, the closer the tighter its tolerance', async () => {
  const fine = await draw({ solver: 'heun', steps: 300 });
  expect(apart(await draw({ solver: 'dopri5' }), fine)).toBeLessThan(2e-2);
  closeTo(await draw({ solver: 'dopri5', rtol: 1e-6 }), fine);
});

test('dopri5 tells how far it has come, to the end', async () => {
  const told: number[] = [];
  await draw({ solver: 'dopri5', onProgress: (done) => told.push(done) });
  expect(told.at(-1)).toBe(1);
  expect(told).toEqual([...told].sort((a, b) => a - b));
});

describe('what is not said', () => {
  test('is velocity on the linear path, Euler in 25 steps, guided by 1.5, in the model’s own layout', async () => {
    const said = await sample(engine, { model: MODEL, transport, sampling, layout, parameters, labels: [1], seed: 3 });
    const data = parameters.data as Float32Array;
    const unsaid = await sample(engine, { model: MODEL, parameters: data, labels: [1], seed: 3 });
    expect(unsaid).toEqual(said);
    expect(unsaid.evaluations).toBe(25);
  });

  test('cannot be guessed of labels and noise', async () => {
    for (const label of [-1, 1.5, 4])
      await expect(draw({ labels: [label] })).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('no class'),
      });
    await expect(draw({ noise: new Float32Array(SIZE) })).rejects.toMatchObject({ code: 'USAGE' });
  });
});

test('a sampler that is opened once draws what `sample` draws, however many are asked for, of the weights that it has now', async () => {
  const how = { model: MODEL, transport, layout, sampling: { ...PLAIN, guidance: 1.5 } };
  const other = { ...parameters, data: parameters.data.map((value) => 0.9 * value) };
  const { engine: native } = await openEngine({ name: 'native' });
  for (const on of [engine, native]) {
    const sampler = await openSampler(on, { ...how, parameters });
    const both = async (weights: HostTensor, labels: number[], seed: number) => {
      const once = await sample(on, { ...how, parameters: weights, labels, seed });
      expect(await sampler.draw({ labels, seed })).toEqual(once);
      return once.images;
    };
    const first = await both(parameters, [0, 1, 2], 5);
    await both(parameters, [2], 6);
    await sampler.load(other);
    expect(await both(other, [0, 1, 2], 5)).not.toEqual(first);
    sampler.dispose();
  }
});
