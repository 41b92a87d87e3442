import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import { normals } from '../../src/random/philox.ts';
import type { Coefficients } from '../../src/transport/path.ts';
import { PATHS } from '../../src/transport/transport.ts';

beforeAll(async () => void (await openCpuEngine()));

const NAMES = Object.keys(PATHS) as (keyof typeof PATHS)[];
const TIMES = [0.001, 0.01, 0.2, 0.37, 0.5, 0.83, 0.97, 0.999];

/** Of a value that may be as large as a thousand: relative above 1. */
const near = (got: number, expected: number, within: number, what = '') =>
  expect(Math.abs(got - expected) / Math.max(1, Math.abs(expected)), `${what}: ${got}, ${expected}`).toBeLessThan(
    within,
  );

describe.each(NAMES)('the %s path', (name) => {
  const path = PATHS[name];

  it('has the derivatives that finite differences have', () => {
    for (const t of TIMES) {
      const h = 1e-6;
      const [below, above] = [path.at(t - h), path.at(t + h)];
      const { dAlpha, dSigma } = path.at(t);
      near(dAlpha, (above.alpha - below.alpha) / (2 * h), 1e-5, `alpha' at ${t}`);
      near(dSigma, (above.sigma - below.sigma) / (2 * h), 1e-5, `sigma' at ${t}`);
    }
  });

  it("has the ratio alpha' / alpha, and lambda = sigma (ratio sigma - sigma')", () => {
    for (const t of TIMES) {
      const { alpha, sigma, dAlpha, dSigma, ratio, lambda } = path.at(t);
      near(ratio, dAlpha / alpha, 1e-12, `ratio at ${t}`);
      near(lambda, sigma * (ratio * sigma - dSigma), 1e-9, `lambda at ${t}`);
    }
  });

  it('goes from noise to data', () => {
    const [begin, end] = [path.at(0), path.at(1)];
    near(begin.sigma, 1, 1e-4);
    near(begin.alpha, name === 'vp' ? Math.exp(-5.025) : 0, 1e-12); // VP never forgets all of the data
    near(end.alpha, 1, 1e-12);
    near(end.sigma, 0, 1e-12);
  });

  it('has in tensors what it has in numbers', () => {
    const of = path.of(tf.tensor1d(TIMES));
    const keys = Object.keys(of) as (keyof Coefficients<unknown>)[];
    expect(keys.sort()).toEqual(Object.keys(path.at(0.5)).sort());
    for (const key of keys) {
      const values = of[key].dataSync();
      TIMES.forEach((t, i) => {
        const exact = path.at(t)[key];
        expect(Math.abs(values[i]! - exact) / Math.abs(exact), `${key} at ${t}`).toBeLessThan(1e-4);
      });
    }
  });

  it('is alpha x1 + sigma x0 with the velocity that is its slope, each sample at its own time', () => {
    const number = fc.float({ min: -4, max: 4, noNaN: true });
    const time = fc.double({ min: 0.01, max: 0.99, noNaN: true }).map(Math.fround);
    const samples = fc.array(fc.tuple(time, fc.array(fc.tuple(number, number), { minLength: 6, maxLength: 6 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(samples, (drawn) => {
        const x0 = drawn.flatMap(([, pixels]) => pixels.map(([noise]) => noise));
        const x1 = drawn.flatMap(([, pixels]) => pixels.map(([, data]) => data));
        const shape = [drawn.length, 3, 1, 2] as [number, number, number, number];
        const times = tf.tensor1d(drawn.map(([t]) => t));
        const { xt, velocity } = path.plan(tf.tensor4d(x0, shape), tf.tensor4d(x1, shape), times);
        expect(xt.shape).toEqual(shape);
        expect(velocity.shape).toEqual(shape);
        const [got, speed] = [xt.dataSync(), velocity.dataSync()];
        x0.forEach((noise, i) => {
          const at = (t: number) => path.at(t).alpha * x1[i]! + path.at(t).sigma * noise;
          const t = drawn[Math.floor(i / 6)]![0];
          near(got[i]!, at(t), 5e-6, 'x_t');
          near(speed[i]!, (at(t + 1e-6) - at(t - 1e-6)) / 2e-6, 1e-4, 'u');
        });
      }),
      { numRuns: 30 },
    );
  });
});

describe('the official figures', () => {
  it('GVP keeps the variance: alpha^2 + sigma^2 = 1, and so does VP', () => {
    for (const name of ['gvp', 'vp'] as const)
      for (const t of TIMES) near(PATHS[name].at(t).alpha ** 2 + PATHS[name].at(t).sigma ** 2, 1, 1e-12);
  });

  it('GVP is the quarter circle: sin and cos of pi t / 2', () => {
    near(PATHS.gvp.at(1 / 3).alpha, 0.5, 1e-12);
    near(PATHS.gvp.at(2 / 3).sigma, 0.5, 1e-12);
  });

  it('VP has alpha = exp of minus half the integral of beta, from 20 at the noise down to 0.1 at the data', () => {
    for (const t of [0, 0.25, 0.6, 0.9]) {
      const n = 20_000;
      let integral = 0;
      for (let i = 0; i < n; i++) {
        const s = ((i + 0.5) / n) * (1 - t);
        integral += ((0.1 + 19.9 * s) * (1 - t)) / n;
      }
      near(Math.log(PATHS.vp.at(t).alpha), -integral / 2, 1e-8);
      near(PATHS.vp.at(t).lambda, (0.1 + 19.9 * (1 - t)) / 2, 1e-12);
    }
  });
});

it('the linear path keeps the bits that it had: x0 + t (x1 - x0), and u = x1 - x0', () => {
  const [x0, x1] = [normals(1, 'x0', 0, 32), normals(1, 'x1', 0, 32)];
  const t = [0.1, 0.7331];
  const shape = [2, 4, 4, 1] as [number, number, number, number];
  const { xt, velocity } = PATHS.linear.plan(tf.tensor4d(x0, shape), tf.tensor4d(x1, shape), tf.tensor1d(t));
  const u = Array.from(x0, (z, i) => Math.fround(x1[i]! - z));
  expect([...velocity.dataSync()]).toEqual(u);
  expect([...xt.dataSync()]).toEqual(
    Array.from(x0, (z, i) => Math.fround(z + Math.fround(Math.fround(t[i >> 4]!) * u[i]!))),
  );
});
