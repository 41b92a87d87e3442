/**
 * Integrators of the probability-flow ODE dx/dt = v(x, t) from noise (t = 0) to data (t = 1), on a uniform grid.
 * Plain arrays on the host: each evaluation of v is one call of the engine, beside which the sums here are nothing.
 */
export type Velocity = (x: Float32Array, t: number) => Promise<Float32Array>;

export type Solver = (velocity: Velocity, noise: Float32Array, steps: number) => Promise<Float32Array>;

/** a + h * b */
function axpy(a: Float32Array, h: number, b: Float32Array): Float32Array {
  return a.map((value, i) => value + h * b[i]);
}

/** Euler: first order, `steps` evaluations. */
export const euler: Solver = async (velocity, noise, steps) => {
  let x = noise;
  const h = 1 / steps;
  for (let i = 0; i < steps; i++) x = axpy(x, h, await velocity(x, i * h));
  return x;
};

/** Heun (explicit trapezoid): second order, 2 `steps` evaluations. */
export const heun: Solver = async (velocity, noise, steps) => {
  let x = noise;
  const h = 1 / steps;
  for (let i = 0; i < steps; i++) {
    const first = await velocity(x, i * h);
    const second = await velocity(axpy(x, h, first), (i + 1) * h);
    x = axpy(axpy(x, h / 2, first), h / 2, second);
  }
  return x;
};

export const SOLVERS = { euler, heun } as const;
