import type { CommitEntry } from '../checkpoint/commit-history.ts';
import { isSameDigest } from '../checkpoint/digest.ts';
import type { CommitRow, SegmentFooter } from './segment-format.ts';

/** A commit that an index lacks. */
export interface NewCommit extends CommitRow {
  /** SHA-256 of its record. */
  readonly digest: Uint8Array;
}

/** What of an index holds for the lineage, and what of the lineage it lacks. */
export interface Comparison {
  /** So many of its segments, from the first on. */
  readonly valid: number;
  /** The commits after them, oldest first. */
  readonly missing: readonly NewCommit[];
}

/**
 * Compares an index with the lineage (newest first, as the log has it now). A segment holds if its head is in the
 * lineage, by digest: what a fallback gave up, or another log never had, is not.
 */
export async function compareWithLineage(
  segments: readonly SegmentFooter[],
  lineage: AsyncIterable<CommitEntry>,
): Promise<Comparison> {
  const missing: NewCommit[] = [];
  let valid = segments.length;
  for await (const { commit, digest, offset } of lineage) {
    while (valid > 0 && segments[valid - 1]!.lastStep > commit.step) valid--;
    const head = segments[valid - 1];
    if (head !== undefined && head.headOffset === offset && isSameDigest(head.headDigest, digest))
      return { valid, missing: missing.reverse() };
    const { step, journalBegin, journalEnd, journalDigest } = commit;
    missing.push({ step, offset, journalBegin, journalEnd, journalDigest, digest });
  }
  return { valid: 0, missing: missing.reverse() };
}
