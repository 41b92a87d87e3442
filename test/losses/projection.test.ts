import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import { type ProjectionSettings, project, projectedDim, projectionSpecs } from '../../src/losses/projection.ts';
import { repulsion } from '../../src/losses/repulsion.ts';
import { parameterLayout, unpack } from '../../src/model/parameters.ts';
import { normals } from '../../src/random/philox.ts';
import { defaultRepulsion } from '../../src/trainer/repulsion-settings.ts';
import { named } from '../model/plain-sit.ts';
import { distance, plainProject } from './plain-repulsion.ts';

beforeAll(async () => void (await openCpuEngine()));

const [B, N, D] = [5, 3, 4];
const base: ProjectionSettings = { pool: 'mean', head: 'mlp', dim: 6, centre: false, normalize: true };
const features = normals(1, 'features', 0, B * N * D);
const nested = Array.from({ length: B }, (_, b) =>
  Array.from({ length: N }, (_, n) => [...features.subarray((b * N + n) * D, (b * N + n + 1) * D)]),
);

function projected(settings: ProjectionSettings): { got: number[][]; plain: number[][] } {
  const layout = parameterLayout(projectionSpecs(settings, D, N));
  const flat = normals(2, 'head', 0, layout.size);
  const parameters = layout.size === 0 ? {} : unpack(tf.tensor1d(flat), layout);
  return {
    got: project(tf.tensor3d(features, [B, N, D]), parameters, settings).arraySync(),
    plain: plainProject(nested, named(Float64Array.from(flat), layout), settings),
  };
}

describe('the projection', () => {
  const all = (['mean', 'max', 'flatten'] as const).flatMap((pool) =>
    (['mlp', 'mlp3', 'linear', 'identity'] as const).flatMap((head) =>
      [false, true].flatMap((centre) => [false, true].map((normalize) => ({ pool, head, centre, normalize }))),
    ),
  );

  it.each(all)('equals a plain float64 one, and has the width it announces (%j)', (choice) => {
    const settings = { ...base, ...choice };
    const { got, plain } = projected(settings);
    got.forEach((row, b) => {
      expect(row.length).toBe(projectedDim(settings, D, N));
      row.forEach((v, i) => void expect(Math.abs(v - plain[b]![i]!)).toBeLessThan(2e-6 * Math.max(1, Math.abs(v))));
      if (settings.normalize) expect(Math.hypot(...row)).toBeCloseTo(1, 5);
    });
    if (settings.centre && !settings.normalize) {
      for (let i = 0; i < got[0]!.length; i++) expect(got.reduce((sum, row) => sum + row[i]!, 0)).toBeCloseTo(0, 4);
    }
  });

  it('has no parameters for the identity', () => {
    expect(projectionSpecs({ ...base, head: 'identity' }, D, N)).toEqual([]);
  });

  it('has no gradient at all, not even of rounding, in the bias that centring takes away', () => {
    const layout = parameterLayout(projectionSpecs(base, D, N));
    const biasGradient = (centre: boolean): number[] => {
      const away = (flat: tf.Tensor1D) =>
        tf.sum(
          tf.square(tf.sub(project(tf.tensor3d(features, [B, N, D]), unpack(flat, layout), { ...base, centre }), 0.3)),
        );
      const flat = tf.grad(away as (x: tf.Tensor) => tf.Scalar)(tf.tensor1d(normals(2, 'head', 0, layout.size)));
      return [...unpack(flat as tf.Tensor1D, layout)['head.2.bias']!.dataSync()];
    };
    expect(biasGradient(true)).toEqual([0, 0, 0, 0, 0, 0]);
    for (const one of biasGradient(false)) expect(Math.abs(one)).toBeGreaterThan(1e-6);
  });

  it('of a zero vector is zero, with a finite gradient', () => {
    const settings = { ...base, head: 'identity' } as const;
    const zero = tf.zeros([2, 1, 3]);
    expect([...project(zero, {}, settings).dataSync()]).toEqual([0, 0, 0, 0, 0, 0]);
    const gradient = tf
      .grad((x) => tf.sum(project(x, {}, settings)))(zero)
      .dataSync();
    expect([...gradient].every(Number.isFinite)).toBe(true);
  });
});

it('identity, flattened and unnormalised, with the dispersive form and tau 1, is the dispersive loss of a block', () => {
  const settings: ProjectionSettings = { pool: 'flatten', head: 'identity', dim: 0, centre: false, normalize: false };
  const z = project(tf.tensor3d(features, [B, N, D]), {}, settings);
  const form = { ...defaultRepulsion(1).form, tau: 1, perDimension: true, includeSelf: true };
  const got = repulsion({ z, queue: null, classes: null, positives: null }, form).arraySync();
  const rows = nested.map((tokens) => tokens.flat());
  let sum = 0;
  for (const a of rows) for (const b of rows) sum += Math.exp(-distance(a, b) / (N * D));
  expect(got).toBeCloseTo(Math.log(sum / (B * B)), 6);
});
