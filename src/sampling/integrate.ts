import { normals } from '../random/philox.ts';
import { DEFAULT_SOLVER, type SolverSettings } from '../trainer/sampling-settings.ts';
import { scoreFrom, velocityFrom } from '../transport/conversions.ts';
import { diffusionAt } from '../transport/diffusion.ts';
import { DEFAULT_TRANSPORT, odeInterval, PATHS, sdeInterval, type TransportSettings } from '../transport/transport.ts';
import { dopri5 } from './dopri5.ts';
import { euler } from './euler.ts';
import { eulerMaruyama, type Noise } from './euler-maruyama.ts';
import { axpy, type Field, sameTime } from './field.ts';
import { heun } from './heun.ts';

/** Evaluations of the network that a sample takes; null where the solver finds out on its way. */
export function evaluations({ solver, steps }: SolverSettings): number | null {
  return solver === 'dopri5' ? null : solver === 'heun' ? 2 * steps : steps;
}

export interface Integration {
  /** In `start`. */
  readonly samples: number;
  /** What the network gives, on which path. Default: velocity on the linear path. */
  readonly transport?: TransportSettings;
  /** Default: Euler in 25 steps. */
  readonly sampling?: Partial<SolverSettings>;
  /** What the SDE adds. Default: drawn from `seed`. */
  readonly noise?: Noise;
  /** Default 0. */
  readonly seed?: number;
}

/**
 * From noise (t = 0) to samples (t = 1): integrates the ODE or SDE that the network's output stands for, whatever it predicts
 * (Ma et al. 2024, equations 2 and 5). `output` is the network, guided or not; start: the samples' noise, row-major, which stays as it is.
 * @throws RepulsorError DIVERGED (`dopri5`), and what `output` throws
 */
export async function integrate(output: Field, start: Float32Array, integration: Integration): Promise<Float32Array> {
  const { samples, transport = DEFAULT_TRANSPORT, seed = 0 } = integration;
  const settings: SolverSettings = { ...DEFAULT_SOLVER, ...integration.sampling };
  const noise = integration.noise ?? ((step) => normals(seed, 'diffusion', step, start.length));
  const { solver, steps, eps, sde } = settings;
  const path = PATHS[transport.path];
  const velocity = (t: number) => velocityFrom(transport.prediction, path, t);
  const score = (t: number) => scoreFrom(transport.prediction, path, t);
  const ode = affineField(output, velocity);
  if (solver !== 'euler-maruyama') {
    const span = { ...odeInterval(transport, eps), steps, samples };
    if (solver === 'dopri5') return dopri5(ode, start, { ...span, atol: settings.atol, rtol: settings.rtol });
    return solver === 'heun' ? heun(ode, start, span) : euler(ode, start, span);
  }
  const w = (t: number) => diffusionAt(sde.diffusion, sde.norm, path, t);
  const drift = affineField(output, (t) => {
    const [v, s] = [velocity(t), score(t)];
    return { x: v.x + w(t) * s.x, output: v.output + w(t) * s.output };
  });
  const size = sde.lastStep === 'none' ? 0 : sde.lastStepSize;
  const { from, to } = sdeInterval(transport, eps, sde.diffusion, size);
  const span = { from, to, samples, steps: size > 0 ? steps - 1 : steps };
  const x = await eulerMaruyama(drift, w, noise, start, span);
  const end = sameTime(samples, to);
  if (sde.lastStep === 'none') return x;
  if (sde.lastStep === 'mean') return axpy(x, size, await drift(x, end));
  if (sde.lastStep === 'euler') return axpy(x, size, await ode(x, end));
  const { alpha, sigma } = path.at(to);
  const slope = await affineField(output, score)(x, end);
  return x.map((value, k) => (value + sigma * sigma * slope[k]) / alpha);
}

/** x a(t) + output(x, t) b(t), each sample at its own time. */
function affineField(output: Field, at: (t: number) => { readonly x: number; readonly output: number }): Field {
  return async (x, t) => {
    const out = await output(x, t);
    const factors = Array.from(t, at);
    if (factors.every((factor) => factor.x === 0 && factor.output === 1)) return out;
    const size = x.length / t.length;
    return out.map((value, k) => {
      const factor = factors[Math.floor(k / size)];
      return factor.x * x[k] + factor.output * value;
    });
  };
}
