import type { Measurement } from './results.ts';
import { PLAIN } from './variants.ts';

/** Where the trap begins (docs/study.md, the trap). 2 is an even spread, 0 one point. */
export const LEAST_PAIR_DISTANCE = 0.5;
/** Squared distance between the means of batch and queue: 4 is the opposite point. */
export const MOST_SHIFT = 2;
/** Squared distance of a projection from the key of the same input: 2 is that of strangers on an even sphere. */
export const MOST_DRIFT = 2;
/** Of the block's features, as a share of plain's at the same mark. */
export const LEAST_RANK = 0.5;

/**
 * What a mark shows of the trap, in words; none for a run that is free of it. `plain`: the mean effective rank of plain at
 * the same share of the steps, null where it is not known.
 */
export function signsOfEscape({ spread, features }: Measurement, plain: number | null): string[] {
  const signs: string[] = [];
  if (spread !== null && spread.pairDistance < LEAST_PAIR_DISTANCE) signs.push('collapsed');
  if (spread?.shift != null && spread.shift > MOST_SHIFT) signs.push('fled');
  if (spread?.drift != null && spread.drift > MOST_DRIFT) signs.push('apart');
  if (features !== null && plain !== null && features.effectiveRank < LEAST_RANK * plain) signs.push('narrow');
  return signs;
}

/** Of a set: plain's mean effective rank by mark, counted from 0. */
export function plainRanks(measurements: readonly Measurement[]): Map<number, number> {
  const ranks = new Map<number, number[]>();
  for (const one of measurements.filter(({ variant }) => variant === PLAIN)) {
    const mark = markOf(measurements, one);
    if (one.features !== null) ranks.set(mark, [...(ranks.get(mark) ?? []), one.features.effectiveRank]);
  }
  return new Map([...ranks].map(([mark, of]) => [mark, of.reduce((sum, rank) => sum + rank, 0) / of.length]));
}

/** Number of the mark in its run, from 0. */
export function markOf(measurements: readonly Measurement[], one: Measurement): number {
  const steps = measurements
    .filter(({ set, variant }) => set === one.set && variant === one.variant)
    .map(({ step }) => step);
  return [...new Set(steps)].sort((a, b) => a - b).indexOf(one.step);
}
