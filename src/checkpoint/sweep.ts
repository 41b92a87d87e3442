import type { Commit } from '../codec/records.ts';
import { hasCode } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { neededOffsets } from '../operators/needed-offsets.ts';
import type { PartitionOffset } from '../operators/position.ts';
import { blobName } from './blob-name.ts';
import { type CommitEntry, lineageBackwards } from './commit-history.ts';
import { commitsToKeep, type KeepCandidate, type KeepSettings } from './keep-rule.ts';
import type { BlobStore, OwnedBlob } from './store.ts';

/** Removes from a run's store what no kept commit needs. One at a time, and never beside a commit of the same writer. */
export interface Sweeper {
  /** Told of every blob that this writer put since the last sweep. */
  stored(blobs: Commit['blobs']): void;
  /** Some of them failed half-way: the next sweep looks at what is there. */
  lost(): void;
  /** `head` is the last commit in the topic, and of the lineage. */
  sweep(head: CommitEntry): Promise<void>;
}

interface HeldCommit extends KeepCandidate {
  readonly epoch: number;
  readonly offset: number;
  readonly blobs: readonly string[];
  readonly needed: readonly PartitionOffset[];
}

/**
 * What keeps a blob that commit C names: C was made by a writer that owns every blob of it (it put them), and an ownership
 * (blob, writer) is removed only when no kept commit *of that writer* names the blob. And by whom: a writer only ever
 * removes ownerships of its own and of writers before it, so one that was fenced long ago, and wakes in the middle of a sweep,
 * takes nothing from a commit made after it. Owners rise along the lineage (`openCommitter`), which also bounds how
 * far a first sweep reads back: to the commits of the oldest owner in the store.
 *
 * A crash at any moment leaves blobs that nothing names, which the next sweep removes: the log says what is kept, and no
 * sweep depends on one before it having ended.
 */
export function openSweeper(wiring: {
  readonly log: Log;
  readonly topic: string;
  readonly store: BlobStore;
  /** Of this writer. */
  readonly owner: number;
  readonly keep: KeepSettings;
  /** Holds the inputs. Without it no commit is kept for replay. */
  readonly inputs?: Log;
}): Sweeper {
  const { log, topic, store, owner, keep, inputs } = wiring;
  /** Ownerships that may be in the store, of this writer and before; null until it was looked at. */
  let inventory: Map<string, OwnedBlob> | null = null;
  /** Every commit that is kept, newest first; null until the lineage was read. */
  let held: HeldCommit[] | null = null;

  async function look(): Promise<Map<string, OwnedBlob>> {
    if (held === null) await store.removeUnfinished(owner);
    const found = (await store.list()).filter((blob) => blob.owner <= owner);
    return new Map(found.map((blob) => [blobName(blob), blob]));
  }

  /** All of the lineage that the rule keeps or that is whole: older ones have no blob in the store. */
  async function readLineage(head: CommitEntry, there: ReadonlyMap<string, OwnedBlob>): Promise<HeldCommit[]> {
    const oldest = [...there.values()].reduce((least, blob) => Math.min(least, blob.owner), owner);
    const found: HeldCommit[] = [];
    let index = 0;
    for await (const entry of lineageBackwards(log, topic, head.offset + 1)) {
      if (index >= keep.last && entry.commit.epoch < oldest) break;
      const commit = toHeld(entry, there);
      const ruled = index < keep.last || (keep.every !== null && commit.generation % keep.every === 0);
      if (commit.whole || ruled) found.push(commit);
      index++;
    }
    return found;
  }

  return {
    stored(blobs) {
      for (const { sha256 } of blobs) inventory?.set(blobName({ sha256, owner }), { sha256, owner });
    },
    lost() {
      inventory = null;
    },
    async sweep(head) {
      const there = inventory ?? (await look());
      inventory = there;
      held ??= await readLineage(head, there);
      if (held[0]?.offset !== head.offset) held = [toHeld(head, there), ...held];
      held = await commitsToKeep(held, keep, replayableFrom(inputs));
      const needed = new Set(
        held.flatMap(({ blobs, epoch }) => blobs.map((sha256) => blobName({ sha256, owner: epoch }))),
      );
      for (const [name, blob] of [...there]) {
        if (needed.has(name)) continue;
        await store.remove(blob);
        there.delete(name);
      }
    },
  };
}

function toHeld({ commit, offset }: CommitEntry, there: ReadonlyMap<string, OwnedBlob>): HeldCommit {
  const { generation, epoch, position } = commit;
  const blobs = commit.blobs.map(({ sha256 }) => sha256);
  const whole = blobs.every((sha256) => there.has(blobName({ sha256, owner: epoch })));
  return { generation, epoch, offset, blobs, whole, needed: neededOffsets(position) };
}

/** Whether all that a commit reads next is still in its topic. Each partition is asked once. */
function replayableFrom(inputs: Log | undefined): (commit: HeldCommit) => Promise<boolean> {
  const earliest = new Map<string, Promise<number>>();
  const ask = (topic: string, partition: number): Promise<number> => {
    const name = `${topic}/${partition}`;
    const asked = earliest.get(name) ?? inputs!.offsets(topic, partition).then((range) => range.earliest, asTopicGone);
    earliest.set(name, asked);
    return asked;
  };
  return async ({ needed }) => {
    if (inputs === undefined) return false;
    const there = await Promise.all(needed.map(async (at) => at.offset >= (await ask(at.topic, at.partition))));
    return there.every(Boolean);
  };
}

function asTopicGone(error: unknown): number {
  if (hasCode(error, 'TOPIC_MISSING')) return Number.POSITIVE_INFINITY;
  throw error;
}
