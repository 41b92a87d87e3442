import { describe, expect, test } from 'vitest';
import { euler, heun, type Solver, type Velocity } from '../../src/sampling/solvers.ts';

/** dx/dt = v(x, t) on [0, 1] with known solutions. */
const EQUATIONS: Record<string, { velocity: (x: number, t: number) => number; from: number; to: number }> = {
  'x, so e^t': { velocity: (x) => x, from: 1, to: Math.E },
  '-2 t x, so e^(-t^2)': { velocity: (x, t) => -2 * t * x, from: 1, to: Math.exp(-1) },
  'cos(5 t), so sin(5 t) / 5': { velocity: (_x, t) => Math.cos(5 * t), from: 0, to: Math.sin(5) / 5 },
  // Flow matching's own field between N(0, 1) and N(2, 0.5^2): each point goes to the same quantile.
  'E[x1 - x0 | x], so 2 + x / 2': {
    velocity: (x, t) => 2 + ((0.25 * t - (1 - t)) / (0.25 * t ** 2 + (1 - t) ** 2)) * (x - 2 * t),
    from: 1.3,
    to: 2.65,
  },
  'x^2 / 2, so 1 / (1 - t / 2)': { velocity: (x) => x ** 2 / 2, from: 1, to: 2 },
};

async function errorOf(solver: Solver, name: string, steps: number): Promise<number> {
  const { velocity, from, to } = EQUATIONS[name]!;
  const field: Velocity = async (x, t) => x.map((value) => velocity(value, t));
  const [reached] = await solver(field, Float32Array.of(from), steps);
  return Math.abs(reached! - to);
}

/** The slope of log error over log step size, by least squares. */
async function orderOf(solver: Solver, name: string, grids: readonly number[]): Promise<number> {
  const points = await Promise.all(
    grids.map(async (steps) => [Math.log(1 / steps), Math.log(await errorOf(solver, name, steps))] as const),
  );
  const [mx, my] = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis]!, 0) / points.length);
  const cov = points.reduce((sum, [x, y]) => sum + (x - mx!) * (y - my!), 0);
  return cov / points.reduce((sum, [x]) => sum + (x - mx!) ** 2, 0);
}

describe.each(Object.keys(EQUATIONS))('dx/dt = %s', (name) => {
  // Finer grids would measure float32's rounding instead.
  test('Euler converges with order 1', async () => {
    expect(Math.abs((await orderOf(euler, name, [64, 128, 256])) - 1)).toBeLessThan(0.15);
  });

  test('Heun converges with order 2', async () => {
    expect(Math.abs((await orderOf(heun, name, [16, 32, 64])) - 2)).toBeLessThan(0.15);
  });
});

test('straight paths, as flow matching wants them, are solved by one step', async () => {
  const velocity: Velocity = async () => Float32Array.of(0.5, -2);
  for (const solver of [euler, heun]) {
    expect(await solver(velocity, Float32Array.of(1, 1), 1)).toEqual(Float32Array.of(1.5, -1));
  }
});

test('the grid is uniform from 0 to 1: Euler never evaluates at the data, Heun ends there', async () => {
  const times = { euler: [] as number[], heun: [] as number[] };
  const seen = (name: keyof typeof times): Velocity => {
    return async (x, t) => {
      times[name].push(t);
      return x;
    };
  };
  await euler(seen('euler'), Float32Array.of(1), 4);
  await heun(seen('heun'), Float32Array.of(1), 4);
  expect(times).toEqual({ euler: [0, 0.25, 0.5, 0.75], heun: [0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1] });
});

test('the noise that it starts from is left as it was', async () => {
  for (const solver of [euler, heun]) {
    const noise = Float32Array.of(1, 2);
    await solver(async (x) => x, noise, 3);
    expect(noise).toEqual(Float32Array.of(1, 2));
  }
});
