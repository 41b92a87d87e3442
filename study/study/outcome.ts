import { mean } from '../continual/results.ts';
import { fidAt, stepsToReach } from './curve.ts';
import { type Pairs, pairsOf } from './pairs.ts';
import type { Measurement } from './results.ts';
import type { SetName } from './sets.ts';
import { overPlain, type StepTimes } from './step-times.ts';
import { PLAIN, twinOf } from './variants.ts';

/** What became of one variant of a set, over its seeds that came to their end. */
export interface Outcome {
  readonly variant: string;
  readonly steps: number;
  /** By seed. */
  readonly fid: ReadonlyMap<number, number>;
  readonly kid: readonly number[];
  readonly accuracy: readonly number[];
  /** FID against the images that were trained on. */
  readonly fidTrained: readonly number[];
  /** Of FID, against plain with the same seed; null for plain itself. */
  readonly pairs: Pairs | null;
  /** A step's time over one of plain. */
  readonly timeRatio: number | null;
  /** Steps to the mean that plain ends at, of each seed; null where it is never reached. */
  readonly toPlain: readonly (number | null)[];
  /** FID on the curve where the time of plain is over, of each seed; null where the curve does not tell. */
  readonly atPlainTime: readonly (number | null)[];
}

const isEnd = ({ step, steps }: Measurement): boolean => step === steps;

/** In the order in which the variants are given; those without a run that ended are left out. */
export function outcomesOf(
  measurements: readonly Measurement[],
  set: SetName,
  variants: readonly string[],
  times: StepTimes | null,
): Outcome[] {
  const ofSet = measurements.filter((one) => one.set === set);
  const endsOf = (variant: string) => ofSet.filter((one) => one.variant === variant && isEnd(one));
  const bySeed = (variant: string) => new Map(endsOf(variant).map(({ seed, fid }) => [seed, fid]));
  const plain = bySeed(PLAIN);
  const target = mean([...plain.values()]);
  const plainSteps = endsOf(PLAIN)[0]?.steps ?? null;
  return variants.flatMap((variant): Outcome[] => {
    const ends = endsOf(variant).sort((a, b) => a.seed - b.seed);
    if (ends.length === 0) return [];
    const curves = ends.map(({ seed }) => curveOf(ofSet, variant, seed));
    const timeRatio = overPlain(times, set, twinOf(variant))?.median ?? null;
    const budget = plainSteps === null || timeRatio === null ? null : plainSteps / timeRatio;
    return [
      {
        variant,
        steps: ends[0]!.steps,
        fid: bySeed(variant),
        kid: ends.map(({ kid }) => kid),
        fidTrained: ends.map(({ fidTrained }) => fidTrained),
        accuracy: ends.map(({ accuracy }) => accuracy),
        pairs: variant === PLAIN ? null : pairsOf(bySeed(variant), plain),
        timeRatio,
        toPlain: curves.map((curve) => (plain.size === 0 ? null : stepsToReach(curve, target))),
        atPlainTime: curves.map((curve) => (budget === null ? null : fidAt(curve, Math.min(budget, plainSteps!)))),
      },
    ];
  });
}

export function curveOf(measurements: readonly Measurement[], variant: string, seed: number): Measurement[] {
  return measurements.filter((one) => one.variant === variant && one.seed === seed).sort((a, b) => a.step - b.step);
}
