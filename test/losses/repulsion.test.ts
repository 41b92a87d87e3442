import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import { pairDistances, squaredDistances } from '../../src/losses/distances.ts';
import { repulsion } from '../../src/losses/repulsion.ts';
import { DISPERSIVE, type RepulsionForm } from '../../src/losses/repulsion-form.ts';
import { normals, uniforms } from '../../src/random/philox.ts';
import { slope } from '../model/plain-sit.ts';
import { distance, plainRepulsion, type WeightedRow } from './plain-repulsion.ts';

beforeAll(async () => void (await openCpuEngine()));

const form: RepulsionForm = {
  kind: 'l2',
  tau: 0.5,
  margin: 1,
  reduction: 'global',
  perDimension: false,
  includeSelf: false,
  batch: true,
  sameClass: true,
};

interface Queue {
  readonly rows: readonly number[][];
  readonly mask: readonly number[];
  readonly weight: number;
}

/** Value and gradient with respect to the batch. */
function taken(z: readonly number[][], queue: Queue | null, settings: RepulsionForm) {
  return tf.tidy(() => {
    const negatives =
      queue === null
        ? null
        : {
            rows: tf.tensor2d(queue.rows as number[][]),
            mask: tf.tensor1d([...queue.mask]),
            weight: tf.scalar(queue.weight),
            labels: null,
          };
    const f = (v: tf.Tensor) =>
      repulsion({ z: v as tf.Tensor2D, queue: negatives, classes: null, positives: null }, settings);
    const input = tf.tensor2d(z as number[][]);
    return { value: f(input).dataSync()[0]!, gradient: [...tf.grad(f)(input).dataSync()] };
  });
}

/** The rows of the queue that count, as often as they count. */
const counted = ({ rows, mask, weight }: Queue): WeightedRow[] =>
  rows.filter((_, j) => mask[j] === 1).map((row) => ({ row, weight }));

function points(seed: number, purpose: string, count: number, dim: number, scale = 1, unit = false): number[][] {
  const flat = normals(seed, purpose, 0, count * dim);
  return Array.from({ length: count }, (_, i) => {
    const row = [...flat.subarray(i * dim, (i + 1) * dim)].map((v) => Math.fround(v * scale));
    const length = Math.hypot(...row);
    return unit ? row.map((v) => Math.fround(v / length)) : row;
  });
}

const close = (got: number, expected: number, within = 1e-5) =>
  expect(Math.abs(got - expected) / Math.max(1, Math.abs(expected)), `${got}, ${expected}`).toBeLessThan(within);

describe('closed forms', () => {
  it('two points at distance r: -r^2 / tau', () => {
    close(
      taken(
        [
          [0, 0],
          [0.6, 0.8],
        ],
        null,
        form,
      ).value,
      -1 / 0.5,
    );
    close(
      taken(
        [
          [0, 0],
          [0.6, 0.8],
        ],
        null,
        { ...form, tau: 4 },
      ).value,
      -0.25,
    );
    close(
      taken(
        [
          [0, 0],
          [3, 4],
        ],
        null,
        { ...form, perDimension: true },
      ).value,
      -25 / 2 / 0.5,
    );
    // With themselves: log (2 (1 + e^-2) / 4).
    close(
      taken(
        [
          [0, 0],
          [0.6, 0.8],
        ],
        null,
        { ...form, includeSelf: true },
      ).value,
      Math.log((1 + Math.exp(-2)) / 2),
    );
  });

  it('orthogonal unit vectors: -2 / tau, and all equal: 0, for any number of them', () => {
    for (const reduction of ['global', 'per-anchor'] as const) {
      for (const b of [2, 3, 8]) {
        const axes = Array.from({ length: b }, (_, i) => Array.from({ length: b }, (_, j) => (i === j ? 1 : 0)));
        close(taken(axes, null, { ...form, reduction }).value, -4);
        close(
          taken(axes, null, { ...form, reduction, includeSelf: true }).value,
          Math.log((1 + (b - 1) * Math.exp(-4)) / b),
        );
        const equal = Array.from({ length: b }, () => [0.6, 0.8, 0]);
        close(taken(equal, null, { ...form, reduction }).value, 0);
        taken(equal, null, { ...form, reduction }).gradient.forEach((g) => void close(g, 0));
      }
    }
  });

  it('one point between two rows of the queue: its pull on each is by their softmax', () => {
    const queue = { rows: [[0], [3]], mask: [1, 1], weight: 1 };
    const { value, gradient } = taken([[1]], queue, { ...form, tau: 1 });
    close(value, Math.log((Math.exp(-1) + Math.exp(-4)) / 2));
    const near = Math.exp(-1) / (Math.exp(-1) + Math.exp(-4));
    close(gradient[0]!, near * -2 * 1 + (1 - near) * 2 * 2);
  });

  it('one unit vector opposite to its only row: -4 / tau', () => {
    close(taken([[1, 0]], { rows: [[-1, 0]], mask: [1], weight: 1 }, form).value, -8);
  });
});

const anyForm = fc.record({
  tau: fc.constantFrom(0.07, 0.5, 1, 3),
  reduction: fc.constantFrom('global' as const, 'per-anchor' as const),
  perDimension: fc.boolean(),
  includeSelf: fc.boolean(),
  kind: fc.constant('l2' as const),
  margin: fc.constant(1),
  batch: fc.constant(true),
  sameClass: fc.constant(true),
});

describe('against a plain float64 sum over pairs', () => {
  it('has the same value and, by finite differences, the same gradient through both sides of each pair', () => {
    fc.assert(
      fc.property(
        anyForm,
        fc.nat(10_000),
        fc.integer({ min: 2, max: 6 }),
        fc.integer({ min: 0, max: 7 }),
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom(0, 0.001, 0.3, 1),
        (settings, seed, b, k, dim, weight) => {
          const z = points(seed, 'z', b, dim, 0.7);
          const mask = [...uniforms(seed, 'mask', 0, k)].map((u) => (u < 0.7 ? 1 : 0));
          const queue = k === 0 ? null : { rows: points(seed, 'rows', k, dim, 0.7), mask, weight };
          const rows = queue === null ? [] : counted(queue);
          const { value, gradient } = taken(z, queue, settings);
          close(value, plainRepulsion(z, rows, settings), 2e-5);
          const plain = (at: Float64Array) =>
            plainRepulsion(
              z.map((_, i) => [...at.subarray(i * dim, (i + 1) * dim)]),
              rows,
              settings,
            );
          const exact = Float64Array.from(z.flat());
          gradient.forEach((g, i) => void close(g, slope(plain, exact, i, 1e-6), 1e-4));
        },
      ),
      { numRuns: 60, seed: 5 },
    );
  });

  it('holds at the size of a real step: 32 unit vectors against 4,096 rows of which 1,000 are valid', () => {
    const z = points(1, 'z', 32, 16, 1, true);
    const rows = points(1, 'rows', 4096, 16, 1, true);
    const queue = { rows, mask: rows.map((_, j) => (j < 1000 ? 1 : 0)), weight: 0.25 };
    for (const reduction of ['global', 'per-anchor'] as const) {
      const { value, gradient } = taken(z, queue, { ...form, reduction });
      const plain = (at: Float64Array) =>
        plainRepulsion(
          z.map((_, i) => [...at.subarray(i * 16, (i + 1) * 16)]),
          counted(queue),
          { ...form, reduction },
        );
      const exact = Float64Array.from(z.flat());
      close(value, plain(exact), 1e-6);
      for (const i of [0, 100, 511]) expect(Math.abs(gradient[i]! - slope(plain, exact, i))).toBeLessThan(1e-7);
    }
  });
});

describe('the ramp of the queue', () => {
  const z = points(2, 'z', 4, 3);
  const rows = points(2, 'rows', 6, 3);
  const mask = [1, 1, 1, 1, 0, 0];

  it.each(['global', 'per-anchor'] as const)('at weight 1 counts each row once, at 0 not at all (%s)', (reduction) => {
    const settings = { ...form, reduction };
    const whole = taken(z, { rows, mask, weight: 1 }, settings);
    const cut = taken(z, { rows: rows.slice(0, 4), mask: [1, 1, 1, 1], weight: 1 }, settings);
    close(whole.value, cut.value, 1e-6);
    const none = taken(z, { rows, mask, weight: 0 }, settings);
    const alone = taken(z, null, settings);
    close(none.value, alone.value, 1e-6);
    none.gradient.forEach((g, i) => void close(g, alone.gradient[i]!, 1e-6));
  });

  it("at weight 1/2 counts each row half: as if the batch's own pairs counted twice", () => {
    // A batch of one with itself: its own pair is one at distance 0, as is a row equal to it.
    const one = z.slice(0, 1);
    const settings = { ...form, includeSelf: true };
    const half = taken(one, { rows: rows.slice(0, 2), mask: [1, 1], weight: 0.5 }, settings);
    const twice = taken(one, { rows: [...rows.slice(0, 2), one[0]!], mask: [1, 1, 1], weight: 1 }, settings);
    close(half.value, twice.value, 1e-6);
    half.gradient.forEach((g, i) => void close(g, twice.gradient[i]!, 1e-5));
  });
});

describe('rows that do not count', () => {
  const z = points(3, 'z', 4, 3);
  const rows = points(3, 'rows', 5, 3);

  it.each([
    { tau: 0.5, garbage: [0, 0, 0] },
    { tau: 0.5, garbage: [1e15, -1e15, 1e15] },
    { tau: 1e-12, garbage: [0, 0, 0] },
    { tau: 1e-12, garbage: z[0]! },
    { tau: 1e12, garbage: z[0]! },
  ])('change nothing, bit for bit, whatever they hold and however small tau is (%j)', ({ tau, garbage }) => {
    for (const reduction of ['global', 'per-anchor'] as const) {
      const settings = { ...form, tau, reduction };
      const filled = (row: number[]) => [...rows.slice(0, 3), row, row];
      const mask = [1, 1, 1, 0, 0];
      const got = taken(z, { rows: filled(garbage), mask, weight: 1 }, settings);
      const other = taken(z, { rows: filled([0.1, 0.2, 0.3]), mask, weight: 1 }, settings);
      expect(got).toEqual(other);
      const exact = plainRepulsion(
        z,
        rows.slice(0, 3).map((row) => ({ row, weight: 1 })),
        settings,
      );
      if (tau > 1e-3) close(got.value, exact, 1e-5);
      // exp underflows in float64: what is left is the nearest pair.
      else expect(got.value * tau).toBeLessThan(-1e-2);
    }
  });

  it('and a batch of one with an empty queue has no negative: 0, with gradient 0', () => {
    for (const reduction of ['global', 'per-anchor'] as const) {
      for (const queue of [
        null,
        { rows, mask: [0, 0, 0, 0, 0], weight: 1 },
        { rows, mask: [1, 1, 1, 1, 1], weight: 0 },
      ]) {
        const { value, gradient } = taken(z.slice(0, 1), queue, { ...form, reduction });
        expect(value).toBe(0);
        expect(gradient.map(Math.abs)).toEqual([0, 0, 0]);
      }
    }
  });
});

describe('stability', () => {
  it.each([
    { tau: 1e-9, scale: 1 },
    { tau: 1e-3, scale: 1e6 },
    { tau: 0.5, scale: 1e12 },
    { tau: 0.5, scale: 1e-12 },
    { tau: 1e9, scale: 1 },
    { tau: 0.5, scale: 0 },
  ])('value and gradient are finite for tau $tau and points of size $scale', ({ tau, scale }) => {
    for (const reduction of ['global', 'per-anchor'] as const) {
      for (const includeSelf of [true, false]) {
        const queue = { rows: points(4, 'rows', 5, 3, scale), mask: [1, 1, 1, 1, 0], weight: 0.5 };
        for (const negatives of [null, queue]) {
          const { value, gradient } = taken(points(4, 'z', 4, 3, scale), negatives, {
            ...form,
            tau,
            reduction,
            includeSelf,
          });
          expect(Number.isFinite(value)).toBe(true);
          expect(gradient.every(Number.isFinite)).toBe(true);
        }
      }
    }
  });

  it('for a tau so small that only the nearest pair is left, the value is that pair, by both of its sides', () => {
    const z = [[0], [1], [3]];
    const { value, gradient } = taken(z, null, { ...form, tau: 1e-4 });
    close(value, -1e4 + Math.log(2 / 6), 1e-6);
    gradient.forEach((g, i) => void close(g, [2e4, -2e4, 0][i]!, 1e-5));
  });
});

describe('the dispersive loss of Wang and He', () => {
  /** Their algorithm: the distances of each pair once, then again for the other order, and B zeros for the diagonal. */
  function dispersive(activations: readonly number[][], tau: number): number {
    const dim = activations[0]!.length;
    const once: number[] = [];
    for (const [i, a] of activations.entries())
      for (const b of activations.slice(i + 1)) once.push(distance(a, b) / dim);
    const all = [...once, ...once, ...activations.map(() => 0)];
    return Math.log(all.reduce((sum, d) => sum + Math.exp(-d / tau), 0) / all.length);
  }

  it('is what is left without a queue, per dimension and with the diagonal', () => {
    for (const tau of [0.5, 1]) {
      const z = points(6, 'z', 7, 40, 1.5);
      const settings = { ...form, tau, perDimension: true, includeSelf: true };
      close(taken(z, null, settings).value, dispersive(z, tau), 1e-6);
    }
  });

  it('never goes below -log B', () => {
    const z = points(6, 'z', 7, 4, 1e3);
    close(taken(z, null, { ...form, tau: 1, perDimension: true, includeSelf: true }).value, -Math.log(7), 1e-6);
  });
});

describe('squared distances', () => {
  it('are those of the rows', () => {
    const [a, b] = [points(7, 'a', 4, 5), points(7, 'b', 3, 5)];
    const got = squaredDistances(tf.tensor2d(a), tf.tensor2d(b)).arraySync();
    for (const [i, x] of a.entries()) for (const [j, y] of b.entries()) close(got[i]![j]!, distance(x, y));
  });

  it('are never negative for rows that are almost equal', () => {
    const rows = points(8, 'a', 1, 64).flatMap((row) =>
      Array.from({ length: 6 }, (_, k) => row.map((v) => v + k * 1e-7)),
    );
    const got = squaredDistances(tf.tensor2d(rows), tf.tensor2d(rows)).dataSync();
    expect(got.every((d) => d >= 0 && d < 1e-4)).toBe(true);
  });

  it('within a batch are exact on the diagonal, and keep their digits when all rows share a large part', () => {
    const rows = points(9, 'a', 5, 16).map((row) => row.map((v) => Math.fround(v + 1000)));
    const got = pairDistances(tf.tensor2d(rows)).arraySync();
    for (const [i, x] of rows.entries()) {
      expect(got[i]![i]).toBe(0);
      for (const [j, y] of rows.entries()) close(got[i]![j]!, distance(x, y), 1e-4);
    }
  });
});

test('info-nce without positives is refused', () => {
  expect(() => tf.tidy(() => repulsion({ z: tf.tensor2d([1, 0], [1, 2]) }, { kind: 'info-nce' }))).toThrow(
    'info-nce has no positives',
  );
});

test('what is not said is no queue, no classes, no weights, and the form of a run that says nothing', () => {
  tf.tidy(() => {
    const z = tf.tensor2d([1, 0, 0, 1, 0.6, 0.8], [3, 2]);
    const value = (got: tf.Scalar) => got.arraySync();
    expect(value(repulsion({ z }))).toBe(value(repulsion({ z, queue: null, classes: null, positives: null }, form)));
    const queue = { rows: tf.tensor2d([0, 1], [1, 2]), mask: tf.tensor1d([1]) };
    const whole = { ...queue, weight: tf.scalar(1), labels: null };
    expect(value(repulsion({ z, queue }, { kind: 'cosine', tau: 2 }))).toBe(
      value(repulsion({ z, queue: whole, classes: null, positives: null }, { ...form, kind: 'cosine', tau: 2 })),
    );
    // Wang and He 2025: log of the mean over all pairs, itself too, of exp(-D / (d tau)).
    const mean = (3 + 2 * (Math.exp(-2 / 2) + Math.exp(-0.8 / 2) + Math.exp(-0.4 / 2))) / 9;
    expect(value(repulsion({ z }, { ...DISPERSIVE, tau: 1 }))).toBeCloseTo(Math.log(mean), 5);
  });
});
