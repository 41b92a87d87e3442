import type { Table } from '../../bench/table.ts';
import { mean, overSeeds } from '../continual/results.ts';
import { markOf, plainRanks, signsOfEscape } from './escape.ts';
import type { Outcome } from './outcome.ts';
import type { Measurement } from './results.ts';
import type { SetName } from './sets.ts';
import { overPlain, type StepTimes } from './step-times.ts';
import { titleOf } from './variants.ts';

/** FID at the end, with its pairs. */
export function endTable(outcomes: readonly Outcome[]): Table {
  return {
    title: 'At the end of each run',
    columns: ['', 'steps', 'seeds', 'FID', 'less plain, by seed', 'lower in', 'p', 'as asked', 'KID', 'FID to trained'],
    rows: outcomes.map(({ variant, steps, fid, pairs, accuracy, kid, fidTrained }) => [
      titleOf(variant),
      String(steps),
      String(fid.size),
      overSeeds([...fid.values()]),
      pairs === null ? '' : pairs.differences.map(signed).join(', '),
      pairs === null ? '' : `${pairs.lower} of ${pairs.differences.length}`,
      pairs === null ? '' : pairs.p.toFixed(2),
      `${(100 * mean(accuracy)).toFixed(1)}%`,
      significant(mean(kid)),
      overSeeds(fidTrained),
    ]),
  };
}

/** What a step costs, and what that leaves of the gain. */
export function timeTable(outcomes: readonly Outcome[], plainSteps: number): Table {
  return {
    title: `Equal time, and steps to the FID that plain ends at (mean over its seeds) after ${plainSteps} steps`,
    columns: ['', 'step over plain', "FID at plain's time", "steps to plain's FID", "of plain's time", 'reached in'],
    rows: outcomes.map(({ variant, fid, timeRatio, atPlainTime, toPlain }) => {
      const reached = toPlain.filter((steps) => steps !== null);
      const known = atPlainTime.filter((value) => value !== null);
      const share = timeRatio === null || reached.length === 0 ? null : (mean(reached) * timeRatio) / plainSteps;
      return [
        titleOf(variant),
        timeRatio === null ? '' : timeRatio.toFixed(2),
        known.length === 0 ? '' : overSeeds(known),
        reached.length === 0 ? '' : mean(reached).toFixed(0),
        share === null ? '' : `${(100 * share).toFixed(0)}%`,
        `${reached.length} of ${fid.size}`,
      ];
    }),
  };
}

/** Means over the seeds at each mark, and whether any seed shows a sign of the trap there. */
export function spreadTable(measurements: readonly Measurement[], variants: readonly string[]): Table {
  const ranks = plainRanks(measurements);
  const rows = variants.flatMap((variant) => {
    const ofVariant = measurements.filter((one) => one.variant === variant);
    const steps = [...new Set(ofVariant.map(({ step }) => step))].sort((a, b) => a - b);
    return steps.map((step) => {
      const of = ofVariant.filter((one) => one.step === step);
      const average = (value: (one: Measurement) => number | null | undefined) => {
        const values = of.flatMap((one) => value(one) ?? []);
        return values.length === 0 ? '' : mean(values).toFixed(2);
      };
      const signs = of.flatMap((one) =>
        signsOfEscape(one, ranks.get(markOf(measurements, one)) ?? null).map((sign) => `${sign} (seed ${one.seed})`),
      );
      return [
        titleOf(variant),
        String(step),
        average(({ spread }) => spread?.pairDistance),
        average(({ spread }) => spread?.uniformity),
        average(({ spread }) => spread?.shift),
        average(({ spread }) => spread?.similarity),
        average(({ spread }) => spread?.drift),
        average(({ features }) => features?.effectiveRank),
        average(({ features }) => features?.uniformity),
        signs.length === 0 ? 'free' : signs.join(', '),
      ];
    });
  });
  return {
    title: 'Has the batch fled or collapsed? Means over the seeds',
    columns: [
      '',
      'step',
      'pair distance',
      'uniformity',
      'shift',
      'similarity',
      'drift',
      'effective rank',
      'uniformity of features',
      'trap',
    ],
    rows,
  };
}

/** What a step takes. */
export function stepTimeTable(times: StepTimes, set: SetName): Table {
  const { date, cpu, threads, rounds, load, sets } = times;
  const when = `${date.slice(0, 16).replace('T', ' ')} UTC, ${cpu}, load ${load.map((one) => one.toFixed(0)).join(' to ')}`;
  const what = threads === 1 ? 'processor time, one thread' : `time, ${threads} threads`;
  return {
    title: `A step's ${what}, in ${rounds} turns (${when})`,
    columns: ['', 'ms', 'over plain', 'range of the turns'],
    rows: Object.entries(sets[set] ?? {}).map(([variant, { cpuSeconds, wallSeconds }]) => {
      const { median, min, max } = overPlain(times, set, variant)!;
      const seconds = threads === 1 ? cpuSeconds : wallSeconds;
      return [
        titleOf(variant),
        (1000 * seconds.median).toFixed(1),
        median.toFixed(2),
        `${min.toFixed(2)} to ${max.toFixed(2)}`,
      ];
    }),
  };
}

const significant = (value: number): string => (value === 0 ? '0' : String(Number(value.toPrecision(3))));
const signed = (value: number): string => `${value < 0 ? '-' : '+'}${significant(Math.abs(value))}`;
