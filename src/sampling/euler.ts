import { axpy, type Field, type Span, sameTime } from './field.ts';

/** Euler on a uniform grid: first order, `steps` evaluations. `noise` stays as it is. */
export async function euler(field: Field, noise: Float32Array, { from, to, steps, samples }: Span) {
  let x = noise;
  const h = (to - from) / steps;
  for (let i = 0; i < steps; i++) x = axpy(x, h, await field(x, sameTime(samples, from + i * h)));
  return x;
}
