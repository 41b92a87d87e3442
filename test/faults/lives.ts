import { Judged } from './fault.ts';
import type { LifeEnd } from './life.ts';
import { toldBy } from './life.ts';

/** Errors with which a trainer may end when its disk or its broker fails: status 1, and a next step in its hint. */
const FAILURES = ['STORE_FAILED', 'LOG_FAILED', 'LOG_UNREACHABLE'];

/** The protocol's trainer was killed where it should be; else the fault was not made. */
export function demandKilled(end: LifeEnd, what: string): void {
  if (end.signal !== 'SIGKILL' || end.hung)
    throw new Judged(
      'not tried',
      `${what} was not reached: status ${end.code}, signal ${end.signal}; ${end.stderr.trim()}`,
    );
}

/** It went through, or it stopped with an error that says what failed. The last step that it was told to be committed. */
export function demandOrderly(end: LifeEnd, told: number): number {
  const { failed, committed } = toldBy(end);
  if (end.hung) throw new Judged('wrongly refused', 'it hung, and was killed');
  const through = end.code === 0 && failed === null;
  const stopped = end.code === 1 && failed !== null && FAILURES.includes(failed);
  if (!through && !stopped)
    throw new Judged(
      'wrongly refused',
      `it ended with status ${end.code}, ${failed ?? 'no error'}: ${end.stderr.trim()}`,
    );
  return committed.at(-1) ?? told;
}

/** The last step that it was told to be committed. */
export const lastTold = (end: LifeEnd, before: number): number => toldBy(end).committed.at(-1) ?? before;
