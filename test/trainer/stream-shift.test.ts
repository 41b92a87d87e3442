import { beforeAll, describe, expect, test } from 'vitest';
import type { Shape } from '../../src/codec/images.ts';
import { digits } from '../../src/ingest/digits.ts';
import { normals, permutation } from '../../src/random/philox.ts';
import { inputFeatures } from '../../src/trainer/input-features.ts';
import { StreamShift } from '../../src/trainer/stream-shift.ts';

const DIMS = 64;
/** Independent steps of one distribution, whose features have means and scales of their own. */
const chance = (step: number, seed = 3): Float64Array =>
  Float64Array.from(normals(seed, 'test', step, DIMS), (z, d) => 10 * d + (d + 1) * z);

describe('the shift of a stream', () => {
  test('is what its formula says, with every weight written out', () => {
    const steps = 700;
    const xs = Array.from({ length: steps }, (_, n) => chance(n));
    const weightsAt = (alpha: number, n: number): number[] => {
      const weights: number[] = [];
      for (let k = 1; k <= n; k++) {
        const a = Math.max(alpha, 1 / k);
        for (const i of weights.keys()) weights[i]! *= 1 - a;
        weights.push(a);
      }
      return weights;
    };
    const meanOf = (weights: number[], d: number) => weights.reduce((sum, w, k) => sum + w * xs[k]![d]!, 0);
    const shift = new StreamShift();
    const told = xs.map((x) => shift.observe(x));
    expect(told.slice(0, 40)).toEqual(Array(40).fill(null));
    for (const n of [41, 77, 700]) {
      const [fast, slow] = [weightsAt(1 / 20, n), weightsAt(1 / 500, n)];
      const c = fast.reduce((sum, w, k) => sum + (w - slow[k]!) ** 2, 0);
      let total = 0;
      for (const d of [...xs[0]!.keys()]) {
        let v = 0;
        for (let k = 2; k <= n; k++) {
          const before = weightsAt(1 / 500, k - 1);
          if (n > 100) break; // tells nothing new, and takes long
          const square = (xs[k - 1]![d]! - meanOf(before, d)) ** 2;
          const spread = 1 + before.reduce((sum, w) => sum + w * w, 0);
          v += Math.max(1 / 500, 1 / (k - 1)) * (square / spread - v);
        }
        if (n > 100) v = (d + 1) ** 2; // what it estimates
        total += (meanOf(fast, d) - meanOf(slow, d)) ** 2 / v;
      }
      const expected = total / DIMS / c;
      expect(Math.abs(told[n - 1]! / expected - 1)).toBeLessThan(n > 100 ? 0.1 : 1e-9);
    }
  });

  test('is 1 on the average while nothing changes, whatever the features’ scale, and features that never vary do not count', () => {
    const shift = new StreamShift();
    const scaled = new StreamShift();
    const padded = new StreamShift();
    const values: number[] = [];
    for (let n = 0; n < 4_000; n++) {
      const x = chance(n);
      const value = shift.observe(x);
      const other = scaled.observe(x.map((feature) => 1e-3 * feature + 5));
      const wider = padded.observe(Float64Array.of(...x, 7, 7, 7));
      if (value === null) continue;
      values.push(value);
      expect(other! / value).toBeCloseTo(1, 6);
      expect(wider! / value).toBeCloseTo(1, 9);
    }
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean).toBeGreaterThan(0.9);
    expect(mean).toBeLessThan(1.1);
    expect(Math.max(...values)).toBeLessThan(3);
  });

  test('shows a change of one standard deviation within the fast mean’s reach, and forgets it with the slow one', () => {
    const shift = new StreamShift();
    const values: number[] = [];
    for (let n = 0; n < 3_000; n++) {
      const moved = n < 1_000 ? 0 : 1;
      values.push(shift.observe(chance(n).map((x, d) => x + moved * (d + 1))) ?? 0);
    }
    expect(Math.max(...values.slice(0, 1_000))).toBeLessThan(3);
    expect(values[1_020]).toBeGreaterThan(10);
    expect(Math.max(...values)).toBeLessThan(45);
    expect(Math.max(...values.slice(2_700))).toBeLessThan(3);
  });
});

describe('over the digits', () => {
  const SHAPE: Shape = [28, 28, 1];
  const byClass = new Map<number, Uint8Array[]>();
  beforeAll(async () => {
    for await (const image of digits().images()) {
      if ('unreadable' in image) continue;
      byClass.set(image.label!, byClass.get(image.label!) ?? []);
      byClass.get(image.label!)!.push(image.bytes);
    }
  });

  /** T at each step over batches of 32 of these classes, `steps` of each list in turn. */
  function shifts(turns: readonly (readonly number[])[], steps: number): number[] {
    const shift = new StreamShift();
    const values: number[] = [];
    for (const [turn, classes] of turns.entries()) {
      const images = classes.flatMap((label) => byClass.get(label)!);
      for (let step = 0; step < steps; step++) {
        const order = permutation(turn, 'test', step, images.length).subarray(0, 32);
        const batch = new Float32Array(32 * 784);
        for (const [i, at] of order.entries())
          batch.set(
            images[at]!.map((value) => value),
            i * 784,
          );
        const features = inputFeatures(
          { images: batch.map((value) => value / 127.5 - 1), archived: [], ids: Array(32) },
          SHAPE,
        );
        values.push(shift.observe(features!) ?? 0);
      }
    }
    return values;
  }

  test('it is flat while all classes come, and jumps when others come', () => {
    const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    expect(Math.max(...shifts([all], 300))).toBeLessThan(5);
    const values = shifts(
      [
        [0, 1],
        [2, 3],
      ],
      150,
    );
    expect(Math.max(...values.slice(0, 150))).toBeLessThan(5);
    expect(values[170]).toBeGreaterThan(30);
  });
});

describe('the features of a batch', () => {
  const ids = (n: number) => Array(n) as never[];

  test('are the mean of value, square and edges by cell and channel, written out by hand', () => {
    // 4 x 4 cells of one pixel, two channels: the first is 1 in the second column, the second is -1 everywhere.
    const images = new Float32Array(32);
    for (let i = 0; i < 16; i++) images.set([i % 4 === 1 ? 1 : 0, -1], 2 * i);
    const features = inputFeatures({ images, archived: [], ids: ids(1) }, [4, 4, 2])!;
    expect(features).toHaveLength(16 * 2 * 4);
    const of = (y: number, x: number, c: number) => [...features.subarray(((y * 4 + x) * 2 + c) * 4).subarray(0, 4)];
    expect(of(2, 0, 0)).toEqual([0, 0, 0, 0]);
    expect(of(2, 1, 0)).toEqual([1, 1, 1, 0]);
    expect(of(2, 2, 0)).toEqual([0, 0, 1, 0]);
    expect(of(3, 3, 1)).toEqual([-1, 1, 0, 0]);
  });

  test('are of the new samples alone', () => {
    const [first, second] = [new Float32Array(784).fill(0.5), new Float32Array(784).fill(-1)];
    const both = Float32Array.of(...first, ...second);
    const shape: Shape = [28, 28, 1];
    expect(inputFeatures({ images: both, archived: [1], ids: ids(2) }, shape)).toEqual(
      inputFeatures({ images: first, archived: [], ids: ids(1) }, shape),
    );
    expect(inputFeatures({ images: both, archived: [0, 1], ids: ids(2) }, shape)).toBeNull();
  });

  test('exist for images smaller than the cells, and of sides that they do not divide', () => {
    for (const shape of [
      [1, 2, 1],
      [3, 30, 3],
      [7, 5, 4],
    ] as const) {
      const images = new Float32Array(2 * shape[0] * shape[1] * shape[2]).fill(0.25);
      const features = inputFeatures({ images, archived: [], ids: ids(2) }, shape)!;
      expect(features).toHaveLength(Math.min(4, shape[0]) * Math.min(4, shape[1]) * shape[2] * 4);
      expect(features.every(Number.isFinite)).toBe(true);
    }
  });
});
