import { axpy, type Field, type Span, sameTime } from './field.ts';

/** Heun (explicit trapezoid) on a uniform grid: second order, 2 `steps` evaluations. `noise` stays as it is. */
export async function heun(field: Field, noise: Float32Array, { from, to, steps, samples }: Span) {
  let x = noise;
  const h = (to - from) / steps;
  for (let i = 0; i < steps; i++) {
    const first = await field(x, sameTime(samples, from + i * h));
    const second = await field(axpy(x, h, first), sameTime(samples, from + (i + 1) * h));
    x = axpy(axpy(x, h / 2, first), h / 2, second);
  }
  return x;
}
