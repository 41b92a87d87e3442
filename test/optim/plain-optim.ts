import type { AdamWSettings } from '../../src/optim/adamw.ts';

/** AdamW as Loshchilov and Hutter's algorithm 2 has it, in float64. */
export interface PlainAdamW {
  parameters: number[];
  m: number[];
  v: number[];
}

export function plainAdamW(
  { parameters, m, v }: PlainAdamW,
  gradient: readonly number[],
  rate: number,
  step: number,
  { beta1, beta2, epsilon, weightDecay }: AdamWSettings,
): PlainAdamW {
  const nextM = m.map((x, i) => beta1 * x + (1 - beta1) * gradient[i]!);
  const nextV = v.map((x, i) => beta2 * x + (1 - beta2) * gradient[i]! ** 2);
  return {
    m: nextM,
    v: nextV,
    parameters: parameters.map((x, i) => {
      const mHat = nextM[i]! / (1 - beta1 ** step);
      const vHat = nextV[i]! / (1 - beta2 ** step);
      return x - rate * (mHat / (Math.sqrt(vHat) + epsilon) + weightDecay * x);
    }),
  };
}

/** The gradient cut to global norm `limit`. */
export function plainClip(gradient: readonly number[], limit: number | null): number[] {
  const norm = Math.hypot(...gradient);
  return limit === null || norm <= limit ? [...gradient] : gradient.map((g) => (g * limit) / norm);
}

export const plainEma = (average: readonly number[], value: readonly number[], decay: number): number[] =>
  average.map((a, i) => decay * a + (1 - decay) * value[i]!);
