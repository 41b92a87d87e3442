import type { Commit } from '../codec/records.ts';
import { RepulsorError } from '../errors.ts';
import type { QueueHistory } from '../memory-bank/changelog.ts';
import type { StreamPosition } from '../operators/position.ts';
import { canonicalJson } from './canonical-json.ts';
import { type CommitEntry, type Lineage, openLineage } from './commit-history.ts';
import { readQueue } from './read-queue.ts';
import { runTopics } from './run-id.ts';
import { getState, type StateBlobs } from './state-blobs.ts';
import type { StoredRun } from './stored-run.ts';

/** A committed state. Training goes on with the step after `commit.step`. */
export interface RestoredState {
  readonly commit: Commit;
  /** SHA-256 of the commit record. */
  readonly digest: Uint8Array;
  /** The tensors by blob. */
  readonly state: StateBlobs;
  /** Null when the run has none, or when it was not asked for. */
  readonly queue: QueueHistory | null;
  readonly position: StreamPosition;
  /** What the next journal entry is chained on. */
  readonly journalDigest: Uint8Array;
}

export interface RestoreOptions {
  /** Only these blobs. Default: all. */
  readonly blobs?: readonly string[];
  /** Whether to rebuild the queue. Default true. */
  readonly queue?: boolean;
  /** Tensors whose memory those of the same name, shape and dtype are read into. */
  readonly into?: StateBlobs;
}

/**
 * The state of the lineage's commit at `index`, every byte of it checked.
 * @throws RepulsorError STATE_MISSING, STATE_DAMAGED, STATE_TRUNCATED
 */
export async function restore(
  from: StoredRun & { readonly lineage: Lineage },
  index: number,
  options: RestoreOptions = {},
): Promise<RestoredState | null> {
  const entry = await from.lineage.at(index);
  if (entry === null) return null;
  const { commit, digest } = entry;
  const { blobs: names, into } = options;
  const state = await getState(from.store, commit.blobs, { ...(names && { names }), ...(into && { into }) });
  const topic = runTopics(from.run).negatives;
  const queue = options.queue === false ? null : await readQueue(from.log, topic, from.lineage, index);
  return { commit, digest, state, queue, position: commit.position, journalDigest: commit.journalDigest };
}

/**
 * A committed state for looking at: nobody is fenced, and a trainer may go on meanwhile. The newest commit, or the one of
 * `generation`, or the newest that is not past `step`.
 * @throws RepulsorError STATE_MISSING when there is no such commit, and as `restore`
 */
export async function readState(
  from: StoredRun,
  wanted: { readonly generation?: number; readonly step?: number } = {},
  options: RestoreOptions = {},
): Promise<RestoredState> {
  const topic = runTopics(from.run).commits;
  const lineage = openLineage(from.log, topic);
  for (let index = 0; ; index++) {
    const entry: CommitEntry | null = await lineage.at(index);
    if (entry === null || entry.commit.generation < (wanted.generation ?? 0)) break;
    if ((wanted.generation ?? entry.commit.generation) !== entry.commit.generation) continue;
    if ((wanted.step ?? entry.commit.step) < entry.commit.step) continue;
    return (await restore({ ...from, lineage }, index, options))!;
  }
  throw new RepulsorError('STATE_MISSING', `the run ${from.run} has no commit like ${canonicalJson(wanted)}`, {
    hint: `Commits are in the topic ${topic}; list them with \`repulsor inspect\`.`,
  });
}
