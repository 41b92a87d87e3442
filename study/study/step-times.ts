import { readFile, writeFile } from 'node:fs/promises';
import type { Spread } from '../../bench/spread.ts';
import type { SetName } from './sets.ts';

/** Of a step; over a step of plain, round by round. */
export interface StepTime {
  /** Processor time of the whole process: with one thread what a step takes where nobody else computes. */
  readonly cpuSeconds: Spread;
  readonly overPlain: Spread;
  /** By the clock, as it was here. */
  readonly wallSeconds: Spread;
  readonly wallOverPlain: Spread;
}

/** What a step of each variant takes: measured in turns, so that a busy machine moves all alike. */
export interface StepTimes {
  readonly date: string;
  readonly cpu: string;
  readonly threads: number;
  readonly rounds: number;
  /** Runnable processes over the last minute, before and after. */
  readonly load: readonly [number, number];
  readonly sets: Readonly<Partial<Record<SetName, Readonly<Record<string, StepTime>>>>>;
}

/**
 * A step of the variant over one of plain: by processor time where each has one thread, for then a step takes as much on a quiet machine;
 * by the clock where it has more. Null where it was not measured.
 */
export function overPlain(times: StepTimes | null, set: SetName, variant: string): Spread | null {
  const found = times?.sets[set]?.[variant];
  if (found === undefined) return null;
  return times!.threads === 1 ? found.overPlain : found.wallOverPlain;
}

/** As they were measured before; null where they were not. */
export async function storedStepTimes(file: string): Promise<StepTimes | null> {
  const text = await readFile(file, 'utf8').catch(() => null);
  return text === null ? null : (JSON.parse(text) as StepTimes);
}

export const storeStepTimes = (file: string, times: StepTimes): Promise<void> =>
  writeFile(file, `${JSON.stringify(times, null, 2)}\n`);
