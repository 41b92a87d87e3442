import type { EffectName } from '../checkpoint/effects.ts';

/** What a recovery does before the first step, in this order. */
export const RECOVERY_PARTS = ['take-over', 'commits', 'blobs', 'queue'] as const;
export type RecoveryPart = (typeof RECOVERY_PARTS)[number];

/** A point in a trainer's life, found by what it does and never by the clock. Everything counts from 1. */
export type Point =
  | {
      readonly at: 'effect';
      readonly when: 'before' | 'after';
      readonly effect: EffectName;
      /** The commit of this life. */
      readonly commit: number;
      /** Which of the effects of this name in that commit. */
      readonly nth: number;
    }
  /** Right after a step, counted over the whole run. */
  | { readonly at: 'step'; readonly step: number }
  /** Before the first read (or the take-over) of a part of the recovery. */
  | { readonly at: 'recovery'; readonly part: RecoveryPart };

/**
 * What happens to a trainer at a point: the signal that no process can catch (`kill`), that which stops it until it is
 * continued (`sleep`), the one that asks for a clean end (`terminate`), or an effect that fails as a full disk does (`fail`).
 */
export interface Accident {
  readonly does: 'kill' | 'sleep' | 'terminate' | 'fail';
  readonly point: Point;
}

export function describePoint(point: Point): string {
  if (point.at === 'step') return `after step ${point.step}`;
  if (point.at === 'recovery')
    return point.part === 'take-over' ? 'before the take-over' : `while it recovers the ${point.part}`;
  const nth = point.nth === 1 ? '' : ` ${point.nth}`;
  return `${point.when} ${point.effect}${nth} of its commit ${point.commit}`;
}

const DOES: Record<Accident['does'], string> = {
  kill: 'kill -9',
  sleep: 'stopped (SIGSTOP)',
  terminate: 'SIGTERM',
  fail: 'a write that fails',
};

export const describeAccident = ({ does, point }: Accident): string => `${DOES[does]} ${describePoint(point)}`;

/** Tells at which effect of which commit a life stands. Told of every moment, in order. */
export function effectCounter(): (
  when: 'before' | 'after',
  effect: EffectName,
) => Pick<Point & { at: 'effect' }, 'commit' | 'nth'> {
  let commit = 1;
  let counts = new Map<string, number>();
  return (when, effect) => {
    const nth = (counts.get(`${when} ${effect}`) ?? 0) + 1;
    counts.set(`${when} ${effect}`, nth);
    const place = { commit, nth };
    if (when === 'after' && effect === 'commit') {
      commit++;
      counts = new Map();
    }
    return place;
  };
}
