import { describe, expect, it } from 'vitest';
import { scoreFrom, velocityFrom } from '../../src/transport/conversions.ts';
import { DIFFUSIONS, diffusionAt } from '../../src/transport/diffusion.ts';
import {
  odeInterval,
  PATHS,
  PREDICTIONS,
  sdeInterval,
  type TransportSettings,
  trainInterval,
} from '../../src/transport/transport.ts';
import { exactOutput, type Gaussian } from './gaussian.ts';

const DATA: Gaussian = { mean: [2], variance: [0.3] };
const TIMES = [0.01, 0.3, 0.5, 0.77, 0.99];

const near = (got: number, expected: number) =>
  expect(Math.abs(got - expected) / Math.max(1, Math.abs(expected)), `${got}, ${expected}`).toBeLessThan(1e-9);

describe.each(Object.entries(PATHS))('on the %s path', (_name, path) => {
  it.each(PREDICTIONS)('the velocity and the score of Gaussian data come of its exact %s', (prediction) => {
    for (const t of TIMES) {
      for (const x of [-1.3, 0, 0.4, 5]) {
        const output = exactOutput(DATA, path, prediction, 0, x, t);
        const v = velocityFrom(prediction, path, t);
        near(v.x * x + v.output * output, exactOutput(DATA, path, 'velocity', 0, x, t));
        const s = scoreFrom(prediction, path, t);
        near(s.x * x + s.output * output, exactOutput(DATA, path, 'score', 0, x, t));
      }
    }
  });

  it('the score is the slope of the log density', () => {
    const log = (x: number, t: number) => {
      const { alpha, sigma } = path.at(t);
      return -((x - alpha * 2) ** 2) / (2 * (alpha ** 2 * 0.3 + sigma ** 2));
    };
    for (const t of TIMES) {
      const slope = (log(0.4 + 1e-6, t) - log(0.4 - 1e-6, t)) / 2e-6;
      expect(Math.abs(exactOutput(DATA, path, 'score', 0, 0.4, t) - slope)).toBeLessThan(1e-6);
    }
  });

  it('a velocity gives a score at the noise too, where it is -x', () => {
    const { x, output } = scoreFrom('velocity', path, 0);
    if (path === PATHS.vp) expect(Number.isFinite(x) && Number.isFinite(output)).toBe(true);
    else expect([x, output + 0]).toEqual([-1, 0]);
  });

  it('no diffusion is negative, and each has its form', () => {
    for (const t of TIMES) {
      const [sin, cos] = [Math.sin(Math.PI * t), Math.cos(Math.PI * t)];
      const { sigma, dSigma, dAlpha, alpha } = path.at(t);
      const expected = {
        constant: 3,
        sigma: 3 * sigma,
        linear: 3 * (1 - t),
        decreasing: ((3 * cos + 1) / 2) ** 2,
        'increasing-decreasing': 3 * sin * sin,
        sbdm: 3 * sigma * ((dAlpha / alpha) * sigma - dSigma),
      };
      for (const form of DIFFUSIONS) {
        near(diffusionAt(form, 3, path, t), expected[form]);
        expect(diffusionAt(form, 1, path, t)).toBeGreaterThanOrEqual(0);
      }
    }
  });
});

describe('where time begins and ends', () => {
  const of = (path: keyof typeof PATHS, prediction: TransportSettings['prediction']) =>
    ({ path, prediction, weighting: 'none', trainEps: null }) as const;
  const all = { from: 0, to: 1 };

  it('is the official rule for training and the ODE', () => {
    for (const path of ['linear', 'gvp'] as const) {
      expect(trainInterval(of(path, 'velocity'))).toEqual(all);
      expect(odeInterval(of(path, 'velocity'), null)).toEqual(all);
      for (const prediction of ['score', 'noise'] as const) {
        expect(trainInterval(of(path, prediction))).toEqual({ from: 1e-3, to: 1 - 1e-3 });
        expect(odeInterval(of(path, prediction), null)).toEqual({ from: 1e-3, to: 1 - 1e-3 });
      }
    }
    for (const prediction of PREDICTIONS) {
      expect(trainInterval(of('vp', prediction))).toEqual({ from: 0, to: 1 - 1e-5 });
      expect(odeInterval(of('vp', prediction), null)).toEqual({ from: 0, to: 1 - 1e-3 });
    }
    expect(trainInterval({ ...of('vp', 'noise'), trainEps: 0.01 })).toEqual({ from: 0, to: 0.99 });
    expect(odeInterval(of('gvp', 'score'), 0.02)).toEqual({ from: 0.02, to: 0.98 });
  });

  it('is the official rule for the SDE, which leaves room for its last step', () => {
    expect(sdeInterval(of('linear', 'velocity'), null, 'sigma', 0.04)).toEqual({ from: 0, to: 0.96 });
    expect(sdeInterval(of('linear', 'velocity'), null, 'sigma', 0)).toEqual(all);
    expect(sdeInterval(of('linear', 'noise'), null, 'sigma', 0)).toEqual({ from: 1e-3, to: 1 - 1e-3 });
    expect(sdeInterval(of('gvp', 'score'), null, 'linear', 0.1)).toEqual({ from: 1e-3, to: 0.9 });
    expect(sdeInterval(of('vp', 'velocity'), null, 'sbdm', 0)).toEqual({ from: 0, to: 1 - 1e-3 });
    expect(sdeInterval(of('vp', 'noise'), null, 'sbdm', 0.04)).toEqual({ from: 0, to: 0.96 });
  });

  it('never begins where the diffusion is infinite', () => {
    for (const path of ['linear', 'gvp'] as const) {
      const { from } = sdeInterval(of(path, 'velocity'), null, 'sbdm', 0.04);
      expect(from).toBe(1e-3);
      expect(Number.isFinite(diffusionAt('sbdm', 1, PATHS[path], from))).toBe(true);
    }
  });
});
