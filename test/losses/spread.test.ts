import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import { spread } from '../../src/losses/spread.ts';
import { hasCollapsed, hasFled } from '../../src/metrics/warning-signs.ts';
import { normals } from '../../src/random/philox.ts';
import { distance } from './plain-repulsion.ts';

beforeAll(async () => void (await openCpuEngine()));

interface Queue {
  readonly keys: number[][];
  readonly rows: number[][];
  readonly mask: number[];
}

function numbers(z: number[][], queue: Queue | null, unit = true): Record<string, number> {
  return tf.tidy(() => {
    const before = queue && { rows: tf.tensor2d(queue.rows), mask: tf.tensor1d(queue.mask) };
    const keys = queue && { keys: tf.tensor2d(queue.keys), of: 'same inputs' as const };
    return Object.fromEntries(
      Object.entries(spread(tf.tensor2d(z), before, keys, unit)).map(([k, v]) => [k, v.dataSync()[0]!]),
    );
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

describe('vectors that have no unit length', () => {
  const apart = (rows: number[][], by: number) => rows.map(([x, y]) => [x! * 1e-3 + by, y! * 1e-3 + 5]);
  const cluster = [
    [1, 0],
    [0, 1],
    [-1, -1],
  ];

  it('are at a shift of 4 with no pair distance when the batch sits opposite its queue, whatever their scale', () => {
    for (const scale of [1e-3, 1, 1e4]) {
      const [z, rows] = [apart(cluster, 1), apart(cluster, -1)].map((of) => of.map((row) => row.map((v) => v * scale)));
      const got = numbers(z!, { keys: z!, rows: rows!, mask: [1, 1, 1] }, false);
      expect(got['shift']).toBeCloseTo(4, 3);
      expect(got['pairDistance']).toBeLessThan(1e-4);
      expect(hasFled({ shift: got['shift']! }) && hasCollapsed({ pairDistance: got['pairDistance']! })).toBe(true);
    }
  });

  it('are at a pair distance of about 2 and no shift when batch and queue are spread alike, however far from 0', () => {
    for (const scale of [1e-3, 1, 1e3]) {
      const of = (purpose: string) => unitRows(purpose, 40, 6).map((row) => row.map((v) => (v + 2) * scale));
      const got = numbers(of('z'), { keys: of('z'), rows: of('rows'), mask: Array(40).fill(1) }, false);
      expect(Math.abs(got['pairDistance']! - 2)).toBeLessThan(0.2);
      expect(got['shift']).toBeLessThan(0.2);
      expect(hasFled({ shift: got['shift']! }) || hasCollapsed({ pairDistance: got['pairDistance']! })).toBe(false);
    }
  });

  it('without a queue have the pair distance of their directions, about', () => {
    const scaled = unitRows('z', 8, 3).map((row) => row.map((v) => 50 * v));
    expect(numbers(scaled, null, false)['pairDistance']).toBeCloseTo(
      numbers(unitRows('z', 8, 3), null)['pairDistance']!,
      4,
    );
    expect(
      numbers(
        [
          [0, 0],
          [0, 0],
        ],
        null,
        false,
      ),
    ).toEqual({ pairDistance: 0, uniformity: 0 });
  });
});

it('keys of second views are positives, not keys that lag behind', () => {
  const z = tf.tensor2d(unitRows('z', 4, 3));
  const got = spread(z, null, { keys: tf.tensor2d(unitRows('rows', 4, 3)), of: 'second views' });
  expect(Object.keys(got).sort()).toEqual(['pairDistance', 'positiveDistance', 'uniformity']);
});
