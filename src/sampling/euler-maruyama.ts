import { type Field, type Span, sameTime } from './field.ts';

/** Standard normal numbers, as many as x holds, of step `step` (from 0). */
export type Noise = (step: number) => Float32Array;

/**
 * Euler-Maruyama on a uniform grid: dx = drift dt + sqrt(2 w) dW, of weak order 1, `steps` evaluations. `diffusion` is w(t).
 */
export async function eulerMaruyama(
  drift: Field,
  diffusion: (t: number) => number,
  noise: Noise,
  start: Float32Array,
  { from, to, steps, samples }: Span,
): Promise<Float32Array> {
  let x = start;
  const h = (to - from) / steps;
  for (let i = 0; i < steps; i++) {
    const t = from + i * h;
    const slope = await drift(x, sameTime(samples, t));
    const spread = Math.sqrt(2 * diffusion(t) * h);
    const z = noise(i);
    x = x.map((value, k) => value + h * slope[k] + spread * z[k]);
  }
  return x;
}
