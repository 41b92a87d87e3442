import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import { spread } from '../../src/losses/spread.ts';
import { normals } from '../../src/random/philox.ts';
import { distance } from './plain-repulsion.ts';

beforeAll(async () => void (await openCpuEngine()));

function numbers(z: number[][], queue: { keys: number[][]; rows: number[][]; mask: number[] } | null) {
  return tf.tidy(() => {
    const before =
      queue === null
        ? null
        : { keys: tf.tensor2d(queue.keys), rows: tf.tensor2d(queue.rows), mask: tf.tensor1d(queue.mask) };
    return Object.fromEntries(Object.entries(spread(tf.tensor2d(z), before)).map(([k, v]) => [k, v.dataSync()[0]!]));
  });
}

function unitRows(purpose: string, count: number, dim: number): number[][] {
  const flat = normals(1, purpose, 0, count * dim);
  return Array.from({ length: count }, (_, i) => {
    const row = [...flat.subarray(i * dim, (i + 1) * dim)];
    return row.map((v) => v / Math.hypot(...row));
  });
}

describe('the spread of a batch', () => {
  it('is 0 and 0 when it has collapsed', () => {
    const { pairDistance, uniformity } = numbers(
      [
        [0.6, 0.8],
        [0.6, 0.8],
        [0.6, 0.8],
      ],
      null,
    );
    expect(pairDistance).toBeCloseTo(0, 6);
    expect(uniformity).toBeCloseTo(0, 6);
  });

  it('is 2 and -4 for orthogonal unit vectors, 4 and -8 for two opposite ones', () => {
    const orthogonal = numbers(
      [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
      ],
      null,
    );
    expect(orthogonal['pairDistance']).toBeCloseTo(2, 6);
    expect(orthogonal['uniformity']).toBeCloseTo(-4, 5);
    const opposite = numbers(
      [
        [1, 0],
        [-1, 0],
      ],
      null,
    );
    expect(opposite['pairDistance']).toBeCloseTo(4, 6);
    expect(opposite['uniformity']).toBeCloseTo(-8, 5);
  });

  it('equals plain sums over the pairs, each once', () => {
    const z = unitRows('z', 9, 5);
    const distances = z.flatMap((a, i) => z.slice(i + 1).map((b) => distance(a, b)));
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const got = numbers(z, null);
    expect(got['pairDistance']).toBeCloseTo(mean(distances), 5);
    expect(got['uniformity']).toBeCloseTo(Math.log(mean(distances.map((d) => Math.exp(-2 * d)))), 5);
    expect(Object.keys(got)).toEqual(['pairDistance', 'uniformity']);
  });

  it('is finite for a batch of one, and for points so far apart that exp underflows', () => {
    expect(numbers([[1, 0]], null)).toEqual({ pairDistance: 0, uniformity: 0 });
    expect(numbers([[0], [100]], null)['uniformity']).toBeCloseTo(-20_000, 0);
  });
});

describe('a batch against its queue', () => {
  const z = unitRows('z', 6, 4);
  const rows = unitRows('rows', 5, 4);
  const mask = [1, 1, 1, 0, 0];

  it('equals plain sums over the valid rows', () => {
    const keys = unitRows('keys', 6, 4);
    const got = numbers(z, { keys, rows, mask });
    const valid = rows.slice(0, 3);
    const centre = (of: number[][]) => of[0]!.map((_, i) => of.reduce((sum, row) => sum + row[i]!, 0) / of.length);
    const cosines = z.flatMap((a) => valid.map((b) => a.reduce((sum, v, i) => sum + v * b[i]!, 0)));
    expect(got['drift']).toBeCloseTo(z.reduce((sum, a, i) => sum + distance(a, keys[i]!), 0) / 6, 5);
    expect(got['shift']).toBeCloseTo(distance(centre(z), centre(valid)), 5);
    expect(got['similarity']).toBeCloseTo(cosines.reduce((a, b) => a + b, 0) / cosines.length, 5);
  });

  it('has shift 4 and similarity -1 when it has collapsed opposite to its queue, which no batch statistic shows', () => {
    const got = numbers(
      [
        [1, 0],
        [1, 0],
      ],
      {
        keys: [
          [1, 0],
          [1, 0],
        ],
        rows: [
          [-1, 0],
          [-1, 0],
        ],
        mask: [1, 1],
      },
    );
    expect(got).toMatchObject({ shift: 4, similarity: -1, drift: 0 });
  });

  it('has no shift and no similarity while the queue is empty', () => {
    expect(numbers(z, { keys: z, rows, mask: [0, 0, 0, 0, 0] })).toMatchObject({ shift: 0, similarity: 0, drift: 0 });
  });
});
