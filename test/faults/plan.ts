import { CYCLE, SLOW } from './cycle.ts';
import type { Draw } from './draw.ts';
import { drawOf } from './draw.ts';
import type { FaultKind } from './fault.ts';

/** A fault by its number: the same in every campaign of the same seed, however many are tried. */
export interface PlannedFault {
  /** From 1. */
  readonly number: number;
  readonly kind: FaultKind;
  readonly draw: Draw;
}

/** The kinds come in turn, as the cycle has them; the first cycle is CI's share. */
export function planned(seed: number, number: number): PlannedFault {
  const place = (number - 1) % CYCLE.length;
  const cycle = Math.floor((number - 1) / CYCLE.length);
  if (cycle % 2 === 1 && place === 0) return { number, kind: SLOW, draw: drawOf(seed, SLOW.name, cycle >> 1) };
  const kind = CYCLE[place]!;
  const perCycle = CYCLE.filter((each) => each === kind).length;
  const before = CYCLE.slice(0, place).filter((each) => each === kind).length;
  const ordinal = cycle * perCycle + before;
  return { number, kind, draw: drawOf(seed, `${kind.name} on ${kind.log}, ${kind.trainer}`, ordinal) };
}
