import type { Interval } from '../transport/transport.ts';

/**
 * What is integrated: dx/dt of `samples` samples, x row-major, one time each. Plain arrays on the host: each evaluation is
 * one call of the engine, beside which the sums of a solver are nothing.
 */
export type Field = (x: Float32Array, t: Float64Array) => Promise<Float32Array>;

/** How a solver goes from noise to data. */
export interface Span extends Interval {
  readonly steps: number;
  /** In x. */
  readonly samples: number;
}

/** The same time for all. */
export function sameTime(samples: number, t: number): Float64Array {
  return new Float64Array(samples).fill(t);
}

/** a + h * b */
export function axpy(a: Float32Array, h: number, b: Float32Array): Float32Array {
  return a.map((value, i) => value + h * b[i]);
}
