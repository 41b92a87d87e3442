import type { StateBlobs } from '../checkpoint/state-blobs.ts';

/** How far a replayed number is from the recorded one, and where that is most. */
export interface Deviation {
  /** |replayed - recorded| / max(1, |recorded|): absolute for small numbers, relative for large ones. */
  readonly value: number;
  readonly step: number;
  /** The loss term, or the tensor. */
  readonly name: string;
}

/** NaN where one of them is no number and the other is another: no tolerance covers it. */
function deviationOf(replayed: number, recorded: number): number {
  if (Object.is(replayed, recorded)) return 0;
  return Math.abs(replayed - recorded) / Math.max(1, Math.abs(recorded));
}

/** The largest deviation of two vectors; Infinity when their lengths differ or something in them is no number. */
export function largestDeviation(replayed: ArrayLike<number>, recorded: ArrayLike<number>): number {
  if (replayed.length !== recorded.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < replayed.length; i++) {
    const deviation = deviationOf(replayed[i]!, recorded[i]!);
    if (!(deviation <= largest)) largest = Number.isNaN(deviation) ? Number.POSITIVE_INFINITY : deviation;
  }
  return largest;
}

/** Over all tensors of a state, the one that deviates most. */
export function stateDeviation(replayed: StateBlobs, recorded: StateBlobs): { value: number; name: string } {
  let worst = { value: 0, name: '' };
  for (const [blob, tensors] of Object.entries(recorded)) {
    for (const [name, tensor] of Object.entries(tensors)) {
      const other = replayed[blob]?.[name]?.data ?? [];
      const value = largestDeviation(other, tensor.data);
      if (value > worst.value || worst.name === '') worst = { value, name: `${blob}/${name}` };
    }
  }
  return worst;
}

export function larger(a: Deviation | null, b: Deviation): Deviation {
  return a === null || b.value > a.value ? b : a;
}
