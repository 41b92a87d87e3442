import { describe, expect, test } from 'vitest';
import { normals } from '../../src/random/philox.ts';
import type { Field } from '../../src/sampling/field.ts';
import { evaluations, integrate } from '../../src/sampling/integrate.ts';
import { LAST_STEPS, SOLVERS, type SolverSettings } from '../../src/trainer/sampling-settings.ts';
import { DIFFUSIONS } from '../../src/transport/diffusion.ts';
import { odeInterval, PATHS, PREDICTIONS, type TransportSettings } from '../../src/transport/transport.ts';
import { exactFlow, exactOutput, type Gaussian } from '../transport/gaussian.ts';

/** Two coordinates of data with a mean and a covariance that are nothing like the noise's; all is known of them. */
const DATA: Gaussian = { mean: [1.5, -0.5], variance: [0.04, 2.5] };
const NAMES = Object.keys(PATHS) as (keyof typeof PATHS)[];
const CASES = NAMES.flatMap((path) => PREDICTIONS.map((prediction) => [path, prediction] as const));

const transportOf = (path: keyof typeof PATHS, prediction: TransportSettings['prediction']): TransportSettings => ({
  ...{ path, prediction, weighting: 'none', trainEps: null },
});

const settings = (
  over: Partial<Omit<SolverSettings, 'sde'>> & { sde?: Partial<SolverSettings['sde']> },
): SolverSettings => ({
  ...{ solver: 'heun', steps: 100, atol: 1e-6, rtol: 1e-4, eps: null },
  ...over,
  sde: { diffusion: 'sigma', norm: 1, lastStep: 'mean', lastStepSize: 0.04, ...over.sde },
});

/** The network that has learnt all there is. x: (samples, 2). */
const perfect =
  ({ path, prediction }: TransportSettings): Field =>
  async (x, t) =>
    x.map((value, i) => exactOutput(DATA, PATHS[path], prediction, i % 2, value, t[i >> 1]!));

const still = () => {
  throw new Error('an ODE has no noise');
};

describe.each(CASES)('on the %s path, with a perfect network for the %s', (path, prediction) => {
  const transport = transportOf(path, prediction);
  const start = Float32Array.of(0, 0, 1, 1, -1.3, 2.2, 0.4, -3);

  /** The largest distance from where the exact flow takes each point. */
  async function errorOf(over: Parameters<typeof settings>[0]): Promise<number> {
    const { from, to } = odeInterval(transport, null);
    const got = await integrate(perfect(transport), start, {
      samples: 4,
      transport,
      sampling: settings(over),
      noise: still,
    });
    return Math.max(
      ...got.map((value, i) => Math.abs(value - exactFlow(DATA, PATHS[path], i % 2, start[i]!, from, to))),
    );
  }

  test('dopri5 takes every point where the exact flow does', async () => {
    expect(await errorOf({ solver: 'dopri5' })).toBeLessThan(1e-2);
    expect(await errorOf({ solver: 'dopri5', rtol: 1e-6, atol: 1e-8 })).toBeLessThan(1e-4);
  });

  // Where time begins at eps, the first step of a grid spans a singularity: with a wider eps the order can be seen.
  test('Euler and Heun converge to it, with orders 1 and 2', async () => {
    const eps = path === 'vp' || prediction === 'velocity' ? null : 0.1;
    const { from, to } = odeInterval(transport, eps);
    const error = async (solver: 'euler' | 'heun', steps: number) => {
      const got = await integrate(perfect(transport), start, {
        ...{ samples: 4, transport, noise: still },
        sampling: settings({ solver, steps, eps }),
      });
      return Math.max(
        ...got.map((value, i) => Math.abs(value - exactFlow(DATA, PATHS[path], i % 2, start[i]!, from, to))),
      );
    };
    expect(Math.abs(Math.log2((await error('euler', 100)) / (await error('euler', 200))) - 1)).toBeLessThan(0.1);
    expect(Math.abs(Math.log2((await error('heun', 50)) / (await error('heun', 100))) - 2)).toBeLessThan(0.15);
    expect(await error('heun', 100)).toBeLessThan(1e-3);
  });
});

describe.each(CASES)('the SDE on the %s path, with a perfect network for the %s', (path, prediction) => {
  const transport = transportOf(path, prediction);

  /**
   * What Euler-Maruyama makes of N(0, I): the drift is affine in x, so the mean is the way of 0 without noise, and the variance
   * the sum of the squared answers to the start and to each step's noise alone. No chance in it.
   */
  async function moments(over: Parameters<typeof settings>[0]): Promise<{ mean: number[]; variance: number[] }> {
    const how = settings({ ...over, solver: 'euler-maruyama' });
    // Sample 0 has no noise at all; sample 1 begins at 1; sample 2 + i has noise 1 at step i alone.
    const samples = how.steps + 2;
    const start = new Float32Array(2 * samples);
    start.set([1, 1], 2);
    const impulse = (step: number) => {
      const z = new Float32Array(2 * samples);
      z.set([1, 1], 2 * (step + 2));
      return z;
    };
    const got = await integrate(perfect(transport), start, { samples, transport, sampling: how, noise: impulse });
    const variance = [0, 1].map((k) => {
      let sum = 0;
      for (let i = 1; i < samples; i++) sum += (got[2 * i + k]! - got[k]!) ** 2;
      return sum;
    });
    return { mean: [got[0]!, got[1]!], variance };
  }

  const errorOf = ({ mean, variance }: { mean: number[]; variance: number[] }) =>
    Math.max(
      ...mean.map((m, k) => Math.abs(m - DATA.mean[k]!)),
      ...variance.map((v, k) => Math.abs(v - DATA.variance[k]!) / Math.max(1, DATA.variance[k]!)),
    );

  test.each(DIFFUSIONS)(
    'has the mean and the covariance of the data, whatever the diffusion: %s',
    async (diffusion) => {
      expect(errorOf(await moments({ steps: 120, sde: { diffusion, lastStep: 'none' } }))).toBeLessThan(0.04);
    },
  );

  test.each(LAST_STEPS)('ends right with the last step %s', async (lastStep) => {
    expect(errorOf(await moments({ steps: 120, sde: { lastStep } }))).toBeLessThan(0.02);
  });

  test('converges with weak order 1', async () => {
    // To what the equation itself gives, which the finest of the grids stands for.
    const at = async (steps: number) => moments({ steps, eps: 0.05, sde: { lastStep: 'none' } });
    const [coarse, fine, finest] = await Promise.all([at(40), at(80), at(160)]);
    const away = (a: typeof coarse, b: typeof coarse) =>
      Math.hypot(...[0, 1].flatMap((k) => [a.mean[k]! - b.mean[k]!, a.variance[k]! - b.variance[k]!]));
    // Errors of c h: (h - h/2) / (h/2 - h/4) = 2.
    expect(Math.abs(Math.log2(away(coarse, fine) / away(fine, finest)) - 1)).toBeLessThan(0.3);
  });
});

test('five thousand samples of the SDE have the mean and the covariance of the data, drawn', async () => {
  const samples = 5_000;
  const transport = transportOf('linear', 'velocity');
  const how = settings({ solver: 'euler-maruyama', steps: 60 });
  const start = normals(1, 'start', 0, 2 * samples);
  const noise = (step: number) => normals(2, 'added', step, 2 * samples);
  const got = await integrate(perfect(transport), start, { samples, transport, sampling: how, noise });
  const mean = [0, 1].map((k) => got.reduce((sum, v, i) => sum + (i % 2 === k ? v : 0), 0) / samples);
  const cov = (a: number, b: number) => {
    let sum = 0;
    for (let i = 0; i < samples; i++) sum += (got[2 * i + a]! - mean[a]!) * (got[2 * i + b]! - mean[b]!);
    return sum / (samples - 1);
  };
  // Four standard errors, and what 60 steps leave.
  expect(Math.abs(mean[0]! - 1.5)).toBeLessThan(0.012 + 0.01);
  expect(Math.abs(mean[1]! + 0.5)).toBeLessThan(0.09 + 0.03);
  expect(Math.abs(cov(0, 0) - 0.04)).toBeLessThan(0.004 + 0.01);
  expect(Math.abs(cov(1, 1) - 2.5)).toBeLessThan(0.2 + 0.05);
  expect(Math.abs(cov(0, 1))).toBeLessThan(0.018);
});

test('every solver evaluates as often as it says', async () => {
  const transport = transportOf('linear', 'velocity');
  for (const solver of SOLVERS)
    for (const lastStep of LAST_STEPS) {
      let count = 0;
      const field: Field = (x, t) => {
        count++;
        return perfect(transport)(x, t);
      };
      const how = settings({ solver, steps: 7, sde: { lastStep } });
      await integrate(field, Float32Array.of(0, 1), {
        ...{ samples: 1, transport, sampling: how, noise: () => new Float32Array(2) },
      });
      if (solver === 'dopri5') expect(evaluations(how)).toBe(null);
      else expect(count, `${solver}, ${lastStep}`).toBe(evaluations(how));
    }
});
