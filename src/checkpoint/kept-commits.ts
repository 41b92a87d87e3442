import type { Commit } from '../codec/records.ts';
import type { Log } from '../log/log.ts';
import { lineageBackwards } from './commit-history.ts';
import type { BlobStore } from './store.ts';

export interface KeptCommit {
  readonly step: number;
  readonly generation: number;
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** Of the topic of commits. */
  readonly offset: number;
  readonly blobs: Commit['blobs'];
}

/** The lineage's commits whose blobs are all in the store, newest first: what a run can be restored to. */
export async function keptCommits(log: Log, topic: string, store: BlobStore): Promise<KeptCommit[]> {
  const there = new Set((await store.list()).map(({ sha256 }) => sha256));
  const unseen = new Set(there);
  const kept: KeptCommit[] = [];
  for await (const { commit, offset } of lineageBackwards(log, topic)) {
    const { step, generation, time, blobs } = commit;
    if (blobs.every(({ sha256 }) => there.has(sha256))) kept.push({ step, generation, time, offset, blobs });
    for (const { sha256 } of blobs) unseen.delete(sha256);
    // An older commit can be whole only with blobs that a newer one shares, or with some not yet seen.
    if (unseen.size === 0 && kept.at(-1)?.generation !== generation) break;
  }
  return kept;
}
