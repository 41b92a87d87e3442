/** Learning rate by step: linear warm-up, then constant, then (when `total` is known) a linear decay to zero. */
export interface ScheduleSettings {
  readonly learningRate: number;
  /** Steps of linear warm-up from 0. */
  readonly warmup: number;
  /** Share of the run, at its end, over which the rate falls linearly to 0; 0 for none. Needs a known length. */
  readonly decayShare: number;
}

/** The rate of step `step` (counted from 1) in a run of `total` steps; null where the run has no end. */
export function learningRateAt(step: number, total: number | null, settings: ScheduleSettings): number {
  const { learningRate, warmup, decayShare } = settings;
  const rising = warmup > 0 ? Math.min(1, step / warmup) : 1;
  if (total === null || decayShare === 0) return learningRate * rising;
  const decaySteps = total * decayShare;
  const falling = Math.min(1, Math.max(0, (total - step + 1) / decaySteps));
  return learningRate * rising * falling;
}

/** The weight of the queue's negatives: 0 until `start` steps are done, then a linear rise to 1 over `ramp` steps. */
export function queueWeightAt(step: number, start: number, ramp: number): number {
  if (step <= start) return 0;
  return ramp > 0 ? Math.min(1, (step - start) / ramp) : 1;
}
