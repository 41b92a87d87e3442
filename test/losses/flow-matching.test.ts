import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import { flowMatching } from '../../src/losses/flow-matching.ts';
import { normals } from '../../src/random/philox.ts';
import { velocityFrom } from '../../src/transport/conversions.ts';
import { PATHS, type TransportSettings } from '../../src/transport/transport.ts';

beforeAll(async () => void (await openCpuEngine()));

const TIMES = [0.15, 0.6, 0.93];
const SHAPE = [3, 2, 2, 1] as [number, number, number, number];
const at = (i: number) => TIMES[i >> 2]!;
const [x0, x1, out] = ['x0', 'x1', 'out'].map((name) => normals(4, name, 0, 12)) as [
  Float32Array,
  Float32Array,
  Float32Array,
];

function loss(transport: Pick<TransportSettings, 'path' | 'prediction' | 'weighting'>): number {
  const noise = tf.tensor4d(x0, SHAPE);
  const t = tf.tensor1d(TIMES);
  const { velocity } = PATHS[transport.path].plan(noise, tf.tensor4d(x1, SHAPE), t);
  const drawn = { noise, velocity, t };
  return flowMatching(tf.tensor4d(out, SHAPE), drawn, { ...transport, trainEps: null }).arraySync();
}

const mean = (of: (i: number) => number) => Array.from({ length: 12 }, (_, i) => of(i)).reduce((a, b) => a + b) / 12;
const near = (got: number, expected: number) =>
  expect(Math.abs(got - expected) / Math.abs(expected), `${got}, ${expected}`).toBeLessThan(1e-5);

describe.each(Object.keys(PATHS) as (keyof typeof PATHS)[])('the loss on the %s path', (path) => {
  const c = (i: number) => PATHS[path].at(at(i));
  const u = (i: number) => c(i).dAlpha * x1[i]! + c(i).dSigma * x0[i]!;

  it('of a velocity is the mean over all elements of (v - u)^2', () => {
    near(
      loss({ path, prediction: 'velocity', weighting: 'none' }),
      mean((i) => (out[i]! - u(i)) ** 2),
    );
  });

  it('of noise is (output - x0)^2, of a score (sigma output + x0)^2: the noise that it stands for is -sigma s', () => {
    near(
      loss({ path, prediction: 'noise', weighting: 'none' }),
      mean((i) => (out[i]! - x0[i]!) ** 2),
    );
    near(
      loss({ path, prediction: 'score', weighting: 'none' }),
      mean((i) => (c(i).sigma * out[i]! + x0[i]!) ** 2),
    );
  });

  it.each(['noise', 'score'] as const)(
    'of %s, weighted as a velocity, is the loss of the velocity it stands for',
    (prediction) => {
      const implied = (i: number) => {
        const xt = c(i).alpha * x1[i]! + c(i).sigma * x0[i]!;
        const { x, output } = velocityFrom(prediction, PATHS[path], at(i));
        return x * xt + output * out[i]!;
      };
      near(
        loss({ path, prediction, weighting: 'velocity' }),
        mean((i) => (implied(i) - u(i)) ** 2),
      );
    },
  );

  it('weighted by likelihood has lambda / sigma^2', () => {
    const w = (i: number) => c(i).lambda / c(i).sigma ** 2;
    near(
      loss({ path, prediction: 'noise', weighting: 'likelihood' }),
      mean((i) => w(i) * (out[i]! - x0[i]!) ** 2),
    );
    near(
      loss({ path, prediction: 'score', weighting: 'likelihood' }),
      mean((i) => w(i) * (c(i).sigma * out[i]! + x0[i]!) ** 2),
    );
  });
});
