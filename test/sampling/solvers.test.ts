import { describe, expect, test } from 'vitest';
import { dopri5 } from '../../src/sampling/dopri5.ts';
import { euler } from '../../src/sampling/euler.ts';
import type { Field } from '../../src/sampling/field.ts';
import { heun } from '../../src/sampling/heun.ts';

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

const fieldOf = (name: string): Field => {
  const { velocity } = EQUATIONS[name]!;
  return async (x, t) => x.map((value, i) => velocity(value, t[i]!));
};
const ONE = { from: 0, to: 1, samples: 1 };

async function errorOf(solver: typeof euler, name: string, steps: number): Promise<number> {
  const [reached] = await solver(fieldOf(name), Float32Array.of(EQUATIONS[name]!.from), { ...ONE, steps });
  return Math.abs(reached! - EQUATIONS[name]!.to);
}

/** The slope of log error over log step size, by least squares. */
async function orderOf(solver: typeof euler, name: string, grids: readonly number[]): Promise<number> {
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

  test('dopri5 stays within its tolerance, and takes fewer evaluations for a wider one', async () => {
    const { from, to } = EQUATIONS[name]!;
    const counts: number[] = [];
    for (const rtol of [1e-2, 1e-4, 1e-6]) {
      let count = 0;
      const counted: Field = (x, t) => {
        count++;
        return fieldOf(name)(x, t);
      };
      const [reached] = await dopri5(counted, Float32Array.of(from), { ...ONE, atol: rtol / 10, rtol });
      // A step's error is below rtol |x| + atol; some tens of steps add up, and what a field does to an error may be e.
      expect(Math.abs(reached! - to) / Math.max(1, Math.abs(to)), `rtol ${rtol}`).toBeLessThan(10 * rtol);
      counts.push(count);
    }
    expect(counts[0]).toBeLessThan(counts[2]!);
    expect(counts[2]).toBeLessThan(150);
  });
});

/**
 * The order of dopri5: with a step's error held at the tolerance, it is proportional to h^5, so that a tolerance a hundred
 * thousandth takes ten times as many steps. Measured on a field whose value is exact in float32.
 */
test('dopri5 has order 5: steps grow as tolerance^(-1/5)', async () => {
  const points: [number, number][] = [];
  for (const tolerance of [1e-3, 1e-5, 1e-7, 1e-9, 1e-11]) {
    let count = 0;
    const field: Field = async (x, t) => {
      count++;
      return x.map((_, i) => Math.fround(100 * Math.cos(20 * t[i]!)));
    };
    await dopri5(field, Float32Array.of(0), { ...ONE, to: 4, atol: tolerance * 100, rtol: 1e-30 });
    points.push([Math.log(1 / tolerance), Math.log(count / 6)]);
  }
  const slopes = points.slice(1).map(([x, y], i) => (y - points[i]![1]) / (x - points[i]![0]));
  for (const slope of slopes.slice(0, 2)) expect(Math.abs(slope - 0.2), `${slopes}`).toBeLessThan(0.05);
});

describe('samples side by side', () => {
  test('keep to steps of their own: none moves another', async () => {
    // The one is stiff and takes many steps, the other arrives at once.
    const rates = [0.01, -40, 3];
    const field =
      (which: readonly number[]): Field =>
      async (x) =>
        x.map((value, i) => rates[which[i >> 1]!]! * value);
    const together = await dopri5(field([0, 1, 2]), Float32Array.of(1, 2, 1, 2, 1, 2), {
      ...{ from: 0, to: 1, samples: 3, atol: 1e-6, rtol: 1e-3 },
    });
    for (const which of [0, 1, 2]) {
      const alone = await dopri5(field([which]), Float32Array.of(1, 2), { ...ONE, atol: 1e-6, rtol: 1e-3 });
      expect([...together.subarray(2 * which, 2 * which + 2)]).toEqual([...alone]);
      expect(Math.abs(alone[0]! - Math.exp(rates[which]!)) / Math.max(1, Math.exp(rates[which]!))).toBeLessThan(1e-2);
    }
  });

  test('all end exactly where they should, and no evaluation lies beyond', async () => {
    const seen: number[] = [];
    const field: Field = async (x, t) => {
      seen.push(...t);
      return x.map((value) => Math.sin(9 * value));
    };
    await dopri5(field, Float32Array.of(1, 0.1), { from: 0.1, to: 0.9, samples: 2, atol: 1e-5, rtol: 1e-5 });
    expect(Math.min(...seen)).toBe(0.1);
    expect(Math.max(...seen)).toBeLessThanOrEqual(0.9 + 1e-15);
    expect(seen.filter((t) => t === 0.9).length).toBeGreaterThan(0);
  });
});

test('a field that is no number anywhere is given up, not tried for ever', async () => {
  const field: Field = async (x) => x.map(() => Number.NaN);
  await expect(dopri5(field, Float32Array.of(1), { ...ONE, atol: 1e-6, rtol: 1e-3 })).rejects.toMatchObject({
    code: 'DIVERGED',
  });
});

test('straight paths, as flow matching wants them, are solved by one step', async () => {
  const velocity: Field = async () => Float32Array.of(0.5, -2);
  for (const solver of [euler, heun])
    expect(await solver(velocity, Float32Array.of(1, 1), { ...ONE, steps: 1 })).toEqual(Float32Array.of(1.5, -1));
  const tolerances = { atol: 1e-6, rtol: 1e-3 };
  expect(await dopri5(velocity, Float32Array.of(1, 1), { ...ONE, ...tolerances })).toEqual(Float32Array.of(1.5, -1));
});

test('the grid is uniform: Euler never evaluates at the data, Heun ends there', async () => {
  const times = { euler: [] as number[], heun: [] as number[] };
  const seen = (name: keyof typeof times): Field => {
    return async (x, t) => {
      times[name].push(...t);
      return x;
    };
  };
  await euler(seen('euler'), Float32Array.of(1), { ...ONE, steps: 4 });
  await heun(seen('heun'), Float32Array.of(1), { ...ONE, steps: 4 });
  expect(times).toEqual({ euler: [0, 0.25, 0.5, 0.75], heun: [0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1] });
  times.euler = [];
  await euler(seen('euler'), Float32Array.of(1), { from: 0.5, to: 1, samples: 1, steps: 2 });
  expect(times.euler).toEqual([0.5, 0.75]);
});

test('the noise that it starts from is left as it was', async () => {
  const noise = Float32Array.of(1, 2);
  for (const solver of [euler, heun]) await solver(async (x) => x, noise, { ...ONE, steps: 3 });
  await dopri5(async (x) => x, noise, { ...ONE, atol: 1e-6, rtol: 1e-3 });
  expect(noise).toEqual(Float32Array.of(1, 2));
});
