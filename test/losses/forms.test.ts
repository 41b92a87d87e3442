import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import { unitRows } from '../../src/losses/distances.ts';
import { repulsion } from '../../src/losses/repulsion.ts';
import { FORM_KINDS, type RepulsionForm } from '../../src/losses/repulsion-form.ts';
import { normals, uniforms } from '../../src/random/philox.ts';
import { defaultRepulsion } from '../../src/trainer/repulsion-settings.ts';
import { slope } from '../model/plain-sit.ts';
import { plainRepulsion, type WeightedRow } from './plain-repulsion.ts';

beforeAll(async () => void (await openCpuEngine()));

const form: RepulsionForm = { ...defaultRepulsion(1).form, tau: 1 };

interface Case {
  readonly z: readonly number[][];
  readonly queue?: { rows: readonly number[][]; mask: readonly number[]; weight: number; labels?: readonly number[] };
  readonly classes?: { readonly labels: readonly number[]; readonly unknown: number };
  readonly positives?: readonly number[][];
}

/** Value and gradient with respect to the batch. */
function taken({ z, queue, classes, positives }: Case, settings: RepulsionForm) {
  return tf.tidy(() => {
    const negatives = queue && {
      rows: tf.tensor2d(queue.rows as number[][]),
      mask: tf.tensor1d([...queue.mask]),
      weight: tf.scalar(queue.weight),
      labels: queue.labels ? tf.tensor1d([...queue.labels], 'int32') : null,
    };
    const sides = {
      queue: negatives ?? null,
      classes: classes ? { labels: tf.tensor1d([...classes.labels], 'int32'), unknown: classes.unknown } : null,
      positives: positives ? tf.tensor2d(positives as number[][]) : null,
    };
    const f = (v: tf.Tensor) => repulsion({ z: v as tf.Tensor2D, ...sides }, settings);
    const input = tf.tensor2d(z as number[][]);
    return { value: f(input).dataSync()[0]!, gradient: [...tf.grad(f)(input).dataSync()] };
  });
}

function plain({ z, queue, classes, positives }: Case, settings: RepulsionForm): number {
  const rows: WeightedRow[] = (queue?.rows ?? []).flatMap((row, j) =>
    queue!.mask[j] === 1 ? [{ row, weight: queue!.weight, label: queue!.labels?.[j] ?? -1 }] : [],
  );
  return plainRepulsion(z, rows, settings, { ...classes, ...(positives && { positives }) });
}

function points(seed: number, purpose: string, count: number, dim: number): number[][] {
  const flat = normals(seed, purpose, 0, count * dim);
  return Array.from({ length: count }, (_, i) => [...flat.subarray(i * dim, (i + 1) * dim)]);
}

const close = (got: number, expected: number, within = 1e-5) =>
  expect(Math.abs(got - expected) / Math.max(1, Math.abs(expected)), `${got}, ${expected}`).toBeLessThan(within);

const axes = [
  [1, 0, 0],
  [0, 2, 0],
  [0, 0, 3],
];

describe('closed forms', () => {
  it('cosine: 0 for axes of any length, 1/tau for all in one direction, -1/tau for two opposite', () => {
    for (const reduction of ['global', 'per-anchor'] as const) {
      const settings = { ...form, kind: 'cosine', tau: 0.25, reduction } as const;
      close(taken({ z: axes }, settings).value, 0);
      close(taken({ z: [[1], [2], [7]] }, settings).value, 4);
      close(taken({ z: [[1], [-3]] }, settings).value, -4);
    }
  });

  it('cosine: on unit vectors the l2 form of twice the temperature, plus 1/tau', () => {
    const z = points(1, 'z', 6, 4).map((row) => row.map((v) => v / Math.hypot(...row)));
    const tau = 0.4;
    const l2 = taken({ z }, { ...form, tau: 2 * tau }).value;
    close(taken({ z }, { ...form, kind: 'cosine', tau }).value, l2 + 1 / tau);
  });

  it('hinge: (margin - r^2)^2 for two points within the margin, 0 with no gradient beyond', () => {
    const settings = { ...form, kind: 'hinge', margin: 2 } as const;
    const near = taken({ z: [[0], [1.2]] }, settings);
    close(near.value, (2 - 1.44) ** 2);
    // Both sides of the pair count, each in both orders: d/dz_2 = -4 r (margin - r^2).
    close(near.gradient[1]!, -4 * 1.2 * (2 - 1.44));
    close(near.gradient[0]!, 4 * 1.2 * (2 - 1.44));
    const far = taken({ z: [[0], [1.5]] }, settings);
    expect([far.value, ...far.gradient.map(Math.abs)]).toEqual([0, 0, 0]);
    close(
      taken(
        {
          z: [
            [0, 0],
            [1, 1],
          ],
        },
        { ...settings, perDimension: true },
      ).value,
      1,
    );
    close(taken({ z: [[0], [0]] }, { ...settings, includeSelf: true }).value, 4);
  });

  it('covariance: 0 for uncorrelated dimensions, twice the squared covariance of two', () => {
    const settings = { ...form, kind: 'covariance' } as const;
    const cross = [
      [1, 0],
      [-1, 0],
      [0, 2],
      [0, -2],
    ];
    close(taken({ z: cross }, settings).value, 0);
    // x = y = +-1: covariance 1 of each order.
    const line = [
      [1, 1],
      [-1, -1],
    ];
    close(taken({ z: line }, settings).value, 2);
    close(taken({ z: line }, { ...settings, perDimension: true }).value, 1);
    // Fewer vectors than dimensions, by their Gram matrix: x = y = z = w.
    const wide = [
      [1, 1, 1, 1],
      [-1, -1, -1, -1],
    ];
    close(taken({ z: wide }, settings).value, 12);
  });

  it('info-nce: log(1 + M) when all is one point, 0 when the positive is infinitely nearer, and pulls towards it', () => {
    for (const reduction of ['global', 'per-anchor'] as const) {
      const settings = { ...form, kind: 'info-nce', reduction } as const;
      const one = [
        [1, 0],
        [1, 0],
        [1, 0],
      ];
      const queue = {
        rows: [
          [1, 0],
          [2, 0],
          [0, 1],
        ],
        mask: [1, 1, 0],
        weight: 1,
      };
      close(taken({ z: one, positives: one, queue }, settings).value, Math.log(1 + 2 + 2));
      close(taken({ z: one, positives: one, queue }, { ...settings, batch: false }).value, Math.log(1 + 2));
      const apart = {
        z: [
          [1, 0],
          [-1, 0],
        ],
        positives: [
          [1, 0],
          [-1, 0],
        ],
      };
      close(taken(apart, { ...settings, tau: 0.05 }).value, 0);
      const beside = taken(
        { z: [[1, 0]], positives: [[0.6, 0.8]], queue: { rows: [[0.6, -0.8]], mask: [1], weight: 1 } },
        settings,
      );
      // s = 0.6 on both sides: half the pull each, both along +y.
      close(beside.value, Math.log(2));
      close(beside.gradient[1]!, -0.8);
    }
  });

  it("info-nce: MoCo's cross entropy, its logits written out", () => {
    const settings = { ...form, kind: 'info-nce', reduction: 'per-anchor', batch: false, tau: 0.07 } as const;
    const unit = (rows: number[][]) => rows.map((row) => row.map((v) => v / Math.hypot(...row)));
    const [z, positives, rows] = [unit(points(3, 'q', 4, 8)), unit(points(3, 'k', 4, 8)), unit(points(3, 'n', 6, 8))];
    const dot = (a: number[], b: number[]) => a.reduce((sum, v, i) => sum + v * b[i]!, 0);
    const entropies = z.map((q, i) => {
      const logits = [dot(q, positives[i]!), ...rows.map((n) => dot(q, n))].map((s) => s / 0.07);
      return -Math.log(Math.exp(logits[0]!) / logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
    });
    const queue = { rows, mask: rows.map(() => 1), weight: 1 };
    close(taken({ z, positives, queue }, settings).value, entropies.reduce((a, b) => a + b) / 4, 2e-6);
  });
});

describe('classes', () => {
  const z = points(4, 'z', 4, 3);
  const queue = { rows: points(4, 'rows', 5, 3), mask: [1, 1, 1, 1, 0], weight: 1, labels: [0, 1, 2, 9, 0] };
  const others = { ...form, sameClass: false };

  it('of one kind leave no negative: 0, with gradient 0', () => {
    for (const kind of ['l2', 'cosine', 'hinge'] as const) {
      for (const reduction of ['global', 'per-anchor'] as const) {
        const same = { ...queue, labels: [1, 1, 1, 1, 1] };
        const classes = { labels: [1, 1, 1, 1], unknown: 9 };
        const { value, gradient } = taken({ z, queue: same, classes }, { ...others, kind, reduction });
        expect([value, ...gradient.map(Math.abs)]).toEqual(Array(13).fill(0));
      }
    }
  });

  it('that are not known are negatives of each other, as all others are', () => {
    const unknown = { labels: [9, 9, 9, 9], unknown: 9 };
    const same = { ...queue, labels: [9, 9, 9, 9, 9] };
    const { value, gradient } = taken({ z, queue: same, classes: unknown }, others);
    const all = taken({ z, queue: same }, form);
    close(value, all.value, 1e-6);
    gradient.forEach((g, i) => void close(g, all.gradient[i]!, 1e-6));
  });

  it('take an anchor without a negative out of the mean over anchors', () => {
    // The third is alone in its class only where the queue has no other: its batch is of class 1 throughout.
    const classes = { labels: [0, 0], unknown: 9 };
    const one = { rows: [[5, 0, 0]], mask: [1], weight: 1, labels: [0] };
    const { value } = taken({ z: z.slice(0, 2), queue: one, classes }, { ...others, reduction: 'per-anchor' });
    expect(value).toBe(0);
    const mixed = { labels: [0, 1, 1], unknown: 9 };
    close(
      taken({ z: z.slice(0, 3), classes: mixed }, { ...others, reduction: 'per-anchor' }).value,
      plain({ z: z.slice(0, 3), classes: mixed }, { ...others, reduction: 'per-anchor' }),
    );
  });
});

const anyForm = fc.record({
  kind: fc.constantFrom(...FORM_KINDS),
  tau: fc.constantFrom(0.07, 0.5, 2),
  margin: fc.constantFrom(0.5, 4),
  reduction: fc.constantFrom('global' as const, 'per-anchor' as const),
  perDimension: fc.boolean(),
  includeSelf: fc.boolean(),
  batch: fc.boolean(),
  sameClass: fc.boolean(),
});

it('every form has the value of a plain float64 double loop and, by finite differences, its gradient', () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(
      anyForm,
      fc.nat(10_000),
      fc.integer({ min: 2, max: 5 }),
      fc.integer({ min: 0, max: 6 }),
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(0.001, 0.3, 1),
      (drawn, seed, b, k, dim, weight) => {
        const pairs = drawn.kind !== 'covariance';
        const settings: RepulsionForm = {
          ...drawn,
          perDimension: drawn.perDimension && drawn.kind !== 'cosine' && drawn.kind !== 'info-nce',
          batch: drawn.batch || k === 0 || !pairs,
          sameClass: drawn.sameClass || !pairs,
          includeSelf: drawn.includeSelf && drawn.batch && drawn.sameClass && pairs && drawn.kind !== 'info-nce',
        };
        const labelsOf = (purpose: string, count: number) =>
          [...uniforms(seed, purpose, 0, count)].map((u) => Math.floor(4 * u));
        const given: Case = {
          z: points(seed, 'z', b, dim),
          ...(k > 0 && {
            queue: {
              rows: points(seed, 'rows', k, dim),
              mask: [...uniforms(seed, 'mask', 0, k)].map((u) => (u < 0.7 ? 1 : 0)),
              weight,
              labels: labelsOf('row-labels', k),
            },
          }),
          ...(!settings.sameClass && { classes: { labels: labelsOf('labels', b), unknown: 3 } }),
          ...(settings.kind === 'info-nce' && { positives: points(seed, 'positives', b, dim) }),
        };
        const { value, gradient } = taken(given, settings);
        close(value, plain(given, settings), 3e-5);
        const at = (flat: Float64Array) =>
          plain({ ...given, z: given.z.map((_, i) => [...flat.subarray(i * dim, (i + 1) * dim)]) }, settings);
        const exact = Float64Array.from(given.z.flat());
        const scale = Math.max(1, ...gradient.map(Math.abs));
        gradient.forEach((g, i) => void close(g / scale, slope(at, exact, i, 1e-6) / scale, 2e-4));
        seen.set(settings.kind, (seen.get(settings.kind) ?? 0) + 1);
      },
    ),
    { numRuns: 150, seed: 6 },
  );
  for (const kind of FORM_KINDS) expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(15);
});

it('every form is finite, with a finite gradient, where all is one point, where all is zero, and far apart', () => {
  const many = (row: number[]) => [row, row, row];
  for (const kind of FORM_KINDS) {
    for (const reduction of ['global', 'per-anchor'] as const) {
      if (kind === 'covariance' && reduction === 'per-anchor') continue;
      for (const z of [many([0.6, 0.8]), many([0, 0]), points(7, 'far', 3, 2).map((row) => row.map((v) => v * 1e6))]) {
        const queue = { rows: [...z, [0, 0]], mask: [1, 1, 0, 1], weight: 0.5 };
        const { value, gradient } = taken({ z, queue, positives: z }, { ...form, kind, reduction, tau: 0.01 });
        expect([value, ...gradient].every(Number.isFinite), `${kind} ${reduction} ${z[0]}`).toBe(true);
      }
    }
  }
});

describe('vectors known to be of unit length', () => {
  const unitOf = (rows: number[][]) => rows.map((row) => row.map((v) => v / Math.hypot(...row)));
  it.each(['l2', 'cosine', 'info-nce', 'hinge'] as const)(
    'are repelled as any others, and so is what was normalised (%s)',
    (kind) => {
      const [raw, rows, keys] = [
        points(3, 'raw', 4, 5),
        unitOf(points(3, 'rows', 6, 5)),
        unitOf(points(3, 'keys', 4, 5)),
      ];
      rows[5] = [0, 0, 0, 0, 0]; // a place that nothing has come to yet
      for (const labels of [null, [0, 1, 2, 0, 1, 2]]) {
        const f = (unit: boolean) => (v: tf.Tensor) =>
          repulsion(
            {
              z: unitRows(v as tf.Tensor2D),
              queue: {
                rows: tf.tensor2d(rows),
                mask: tf.tensor1d([1, 1, 1, 1, 1, 0]),
                weight: tf.scalar(0.5),
                labels: labels && tf.tensor1d(labels, 'int32'),
              },
              classes: labels && { labels: tf.tensor1d([0, 1, 2, 3], 'int32'), unknown: 3 },
              positives: tf.tensor2d(keys),
              unit,
            },
            { ...form, kind, tau: 0.5 },
          );
        const [whole, known] = [false, true].map((unit) =>
          tf.tidy(() =>
            [f(unit)(tf.tensor2d(raw)), tf.grad(f(unit))(tf.tensor2d(raw))].flatMap((t) => [...t.dataSync()]),
          ),
        );
        known!.forEach((value, i) => void close(value, whole![i]!));
      }
    },
  );
});
