import { permutation, uniforms } from '../../src/random/philox.ts';

/**
 * The choices of one trial: functions of the campaign's seed, the kind of fault and which one of its kind this is. So a
 * fault is the same whatever is tried before it.
 */
export interface Draw {
  readonly seed: number;
  readonly kind: string;
  /** The how manieth of its kind, from 0. */
  readonly ordinal: number;
  /** A number in [0, 1) for each name. */
  share(name: string): number;
  /** A whole number in [0, below). */
  below(name: string, below: number): number;
  pick<T>(name: string, of: readonly T[]): T;
  /** One after the other, in an order of the seed: as many trials as there are items try each of them. */
  turn<T>(name: string, of: readonly T[]): T;
}

export function drawOf(seed: number, kind: string, ordinal: number): Draw {
  const share = (name: string): number => uniforms(seed, `fault ${kind}: ${name}`, ordinal, 1)[0]!;
  const below = (name: string, end: number): number => Math.min(end - 1, Math.floor(share(name) * end));
  return {
    seed,
    kind,
    ordinal,
    share,
    below,
    pick: (name, of) => of[below(name, of.length)]!,
    turn(name, of) {
      const round = Math.floor(ordinal / of.length);
      return of[permutation(seed, `fault ${kind}: ${name}`, round, of.length)[ordinal % of.length]!]!;
    },
  };
}
