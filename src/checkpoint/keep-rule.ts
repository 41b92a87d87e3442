import { RepulsorError } from '../errors.ts';

/** Which commits keep their blobs. The log keeps the rest of every commit. */
export interface KeepSettings {
  /** The newest so many of the lineage; at least 2, so that one can be fallen back to. */
  readonly last: number;
  /** Besides them every so-manieth, by generation; null for none, 1 for all. */
  readonly every: number | null;
}

/** What the rule asks of a commit. In lists of them the newest comes first. */
export interface KeepCandidate {
  readonly generation: number;
  /** All its blobs are in the store. */
  readonly whole: boolean;
}

/** @throws RepulsorError CONFIG */
export function checkKeep(keep: KeepSettings): void {
  const counts = (n: number, least: number) => Number.isSafeInteger(n) && n >= least;
  if (counts(keep.last, 2) && (keep.every === null || counts(keep.every, 1))) return;
  throw new RepulsorError('CONFIG', `commits are to be kept by ${JSON.stringify(keep)}`, {
    hint: 'last is at least 2, so that one can be fallen back to; every is null, or at least 1.',
  });
}

/**
 * The lineage's commits that keep their blobs: the newest `last`; each whose generation `every` divides; and the oldest
 * whole one that can still be trained on from (`replayable`: nothing that it reads next was removed from its topic). From
 * that last one every journaled step whose records are still there can be replayed.
 *
 * Which commits the first two parts keep depends on their place in the lineage alone: every writer of a run with the same
 * settings finds the same, whenever it looks.
 */
export async function commitsToKeep<C extends KeepCandidate>(
  lineage: readonly C[],
  { last, every }: KeepSettings,
  replayable: (commit: C) => Promise<boolean>,
): Promise<C[]> {
  let anchor: C | null = null;
  for (const commit of lineage.toReversed()) {
    if (!commit.whole || !(await replayable(commit))) continue;
    anchor = commit;
    break;
  }
  return lineage.filter(
    (commit, i) => i < last || (every !== null && commit.generation % every === 0) || commit === anchor,
  );
}
