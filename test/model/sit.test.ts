import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import { initialParameters, parameterLayout, unpack } from '../../src/model/parameters.ts';
import { nullClass, type SiTSettings, sit, sitFeatures, sitSpecs } from '../../src/model/sit.ts';
import { SIT_MODELS } from '../../src/model/sizes.ts';
import { normals, permutation, uniforms } from '../../src/random/philox.ts';
import { named, plainSit, slope } from './plain-sit.ts';

beforeAll(async () => void (await openCpuEngine()));

const tiny: SiTSettings = {
  input: [4, 6, 2],
  patch: 2,
  width: 8,
  depth: 2,
  heads: 2,
  mlpRatio: 2,
  classes: 3,
  timeScale: 10,
  learnSigma: false,
};

/** Every parameter away from its initial zero, so that no path through the network is cut. */
function movedParameters(settings: SiTSettings, seed: number): Float32Array {
  const layout = parameterLayout(sitSpecs(settings));
  const away = normals(seed, 'away', 0, layout.size);
  return initialParameters(layout, seed).map((v, i) => v + 0.3 * away[i]!);
}

function randomInput(settings: SiTSettings, b: number, seed: number) {
  const [h, w, c] = settings.input;
  return {
    x: normals(seed, 'x', 0, b * h * w * c),
    t: [...uniforms(seed, 't', 0, b)],
    labels: Array.from({ length: b }, (_, i) => (seed + i) % (settings.classes + 1)),
  };
}

const asTensors = (settings: SiTSettings, { x, t, labels }: ReturnType<typeof randomInput>) => ({
  x: tf.tensor(x, [t.length, ...settings.input]),
  t: tf.tensor1d(t),
  labels: tf.tensor1d(labels, 'int32'),
});

function forward(settings: SiTSettings, flat: Float32Array, input: ReturnType<typeof randomInput>, tap: number) {
  return tf.tidy(() => {
    const parameters = unpack(tf.tensor1d(flat), parameterLayout(sitSpecs(settings)));
    const { output: velocity, features } = sit(parameters, settings, asTensors(settings, input), [tap]);
    const alone = sitFeatures(parameters, settings, asTensors(settings, input), [tap]);
    return {
      shape: velocity.shape,
      velocity: velocity.dataSync() as Float32Array,
      features: features[0]!.dataSync(),
      alone: alone[0]!.dataSync(),
    };
  });
}

const farthest = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  if (a.length !== b.length) throw new Error(`${a.length} numbers against ${b.length}`);
  return Array.from(a).reduce((worst, v, i) => Math.max(worst, Math.abs(v - b[i]!)), 0);
};

describe('parameters of the published sizes', () => {
  // By hand, for width D: a block has 18 D^2 + 15 D (qkv 3 D^2 + 3 D, proj D^2 + D, MLP 8 D^2 + 5 D, adaLN 6 D^2 + 6 D);
  // the rest 3 D^2 + 1294 D + 16 (patches 17 D, time 257 D + D^2 + D, 1001 labels, final 16 D + 16 and 2 D^2 + 2 D).
  it.each([
    ['S', 32_858_896],
    ['B', 130_303_504],
    ['L', 457_824_272],
    ['XL', 674_816_272],
  ] as const)('SiT-%s/2 has %d, fixed positions not counted', (size, count) => {
    const { depth: l, width: d } = SIT_MODELS[`SiT-${size}/2`];
    const settings = {
      ...tiny,
      ...SIT_MODELS[`SiT-${size}/2`],
      input: [32, 32, 4],
      mlpRatio: 4,
      classes: 1000,
    } as const;
    expect(parameterLayout(sitSpecs(settings)).size).toBe(count);
    expect(l * (18 * d * d + 15 * d) + 3 * d * d + 1294 * d + 16).toBe(count);
  });

  it('XL/2 with learned sigma and its 256 fixed positions are the 675,129,632 published for SiT-XL/2', () => {
    const settings: SiTSettings = {
      ...tiny,
      ...SIT_MODELS['SiT-XL/2'],
      input: [32, 32, 4],
      mlpRatio: 4,
      classes: 1000,
      learnSigma: true,
    };
    expect(parameterLayout(sitSpecs(settings)).size + 256 * 1152).toBe(675_129_632);
  });
});

describe('the forward pass', () => {
  it('is exactly zero at initialisation, whatever the input, and each block is the identity', () => {
    for (const learnSigma of [false, true]) {
      const settings = { ...tiny, learnSigma };
      const flat = initialParameters(parameterLayout(sitSpecs(settings)), 1);
      const input = randomInput(settings, 3, 5);
      const { velocity, features } = forward(settings, flat, input, 2);
      expect(velocity.every((v) => v === 0)).toBe(true);
      expect(farthest(features, forward(settings, flat, input, 0).features)).toBe(0);
      expect(features.some((v) => v !== 0)).toBe(true);
    }
  });

  it('equals a plain float64 one for any patch, width, depth, heads, channels and image shape', () => {
    const anySettings = fc
      .record({
        rows: fc.integer({ min: 1, max: 3 }),
        columns: fc.integer({ min: 1, max: 4 }),
        channels: fc.integer({ min: 1, max: 4 }),
        patch: fc.constantFrom(1, 2, 3),
        heads: fc.constantFrom(1, 2, 3),
        perHead: fc.constantFrom(4, 8),
        depth: fc.integer({ min: 1, max: 3 }),
        mlpRatio: fc.constantFrom(1, 2.5, 4),
        classes: fc.integer({ min: 1, max: 5 }),
        timeScale: fc.constantFrom(1, 10, 1000),
        learnSigma: fc.boolean(),
      })
      .map(
        ({ rows, columns, channels, perHead, ...rest }): SiTSettings => ({
          ...rest,
          input: [rows * rest.patch, columns * rest.patch, channels],
          width: rest.heads * perHead,
        }),
      );
    fc.assert(
      fc.property(anySettings, fc.nat(1000), fc.nat(3), (settings, seed, anyTap) => {
        const tap = Math.min(anyTap, settings.depth);
        const layout = parameterLayout(sitSpecs(settings));
        const flat = movedParameters(settings, seed);
        const input = randomInput(settings, 2, seed);
        const got = forward(settings, flat, input, tap);
        const plain = plainSit(named(Float64Array.from(flat), layout), settings, input.x, input.t, input.labels, tap);
        expect(got.shape).toEqual([2, ...settings.input]);
        const size = plain.velocity.reduce((top, v) => Math.max(top, Math.abs(v)), 1);
        expect(farthest(got.velocity, plain.velocity) / size).toBeLessThan(settings.timeScale > 10 ? 1e-3 : 1e-5);
        expect(farthest(got.alone, got.features)).toBe(0);
        if (settings.timeScale <= 10) expect(farthest(got.features, plain.features.flat(2)) / size).toBeLessThan(1e-5);
      }),
      { numRuns: 25, seed: 7 },
    );
  });

  it('of one sample does not depend on the others of its batch', () => {
    const flat = movedParameters(tiny, 3);
    const both = randomInput(tiny, 2, 9);
    const first = { x: both.x.slice(0, 48), t: both.t.slice(0, 1), labels: both.labels.slice(0, 1) };
    expect(farthest(forward(tiny, flat, first, 1).velocity, forward(tiny, flat, both, 1).velocity.slice(0, 48))).toBe(
      0,
    );
  });

  it('depends on the time, on the label, and on the null class as on one of its own', () => {
    const flat = movedParameters(tiny, 3);
    const input = randomInput(tiny, 1, 2);
    const at = (change: Partial<typeof input>) => forward(tiny, flat, { ...input, ...change }, 1).velocity;
    const base = at({ labels: [0], t: [0.2] });
    expect(farthest(base, at({ labels: [0], t: [0.7] }))).toBeGreaterThan(1e-2);
    expect(farthest(base, at({ labels: [1], t: [0.2] }))).toBeGreaterThan(1e-2);
    expect(farthest(base, at({ labels: [nullClass(tiny)], t: [0.2] }))).toBeGreaterThan(1e-2);
  });
});

describe('the gradient', () => {
  it.each([
    { learnSigma: false, tap: 1 },
    { learnSigma: true, tap: 2 },
    { learnSigma: false, tap: 0 },
  ])('of every parameter tensor equals finite differences of the float64 pass (%j)', ({ learnSigma, tap }) => {
    const settings = { ...tiny, learnSigma };
    const layout = parameterLayout(sitSpecs(settings));
    const flat = movedParameters(settings, 11);
    const input = randomInput(settings, 2, 4);
    // A weighted sum of all that comes out: no two outputs can hide each other's error.
    const onVelocity = normals(1, 'on-velocity', 0, 2 * 4 * 6 * 2);
    const onFeatures = normals(1, 'on-features', 0, 2 * 6 * 8);
    const gradient = tf.tidy(() =>
      tf
        .grad((parameters) => {
          const out = sit(unpack(parameters as tf.Tensor1D, layout), settings, asTensors(settings, input), [tap]);
          return tf.add(
            tf.sum(tf.mul(out.output, tf.tensor(onVelocity, out.output.shape))),
            tf.sum(tf.mul(out.features[0]!, tf.tensor(onFeatures, out.features[0]!.shape))),
          );
        })(tf.tensor1d(flat))
        .dataSync(),
    );
    const plain = (at: Float64Array) => {
      const out = plainSit(named(at, layout), settings, input.x, input.t, input.labels, tap);
      return (
        out.velocity.reduce((sum, v, i) => sum + v * onVelocity[i]!, 0) +
        out.features.flat(2).reduce((sum, v, i) => sum + v * onFeatures[i]!, 0)
      );
    };
    const exact = Float64Array.from(flat);
    for (const [s, spec] of layout.specs.entries()) {
      const size = spec.shape.reduce((a, b) => a * b, 1);
      const entries = [...permutation(s, 'entries', 0, size)].slice(0, 6).map((i) => layout.offsets[s]! + i);
      const slopes = entries.map((i) => slope(plain, exact, i));
      const scale = Math.max(1, ...slopes.map(Math.abs));
      entries.forEach((i, k) => {
        expect(Math.abs(gradient[i]! - slopes[k]!) / scale, `${spec.name}[${i}]`).toBeLessThan(1e-4);
      });
    }
  });
});
