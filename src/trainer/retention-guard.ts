import type { Committer } from '../checkpoint/commit.ts';
import { decodeCommit } from '../checkpoint/commit-history.ts';
import { type CommitNeeds, commitsThatTell, type NeededRecord, neededRecords } from '../checkpoint/needed-records.ts';
import type { Commit } from '../codec/records.ts';
import { hasCode } from '../errors.ts';
import type { Log, OffsetRange, TopicKeeping } from '../log/log.ts';
import { readRange } from '../log/read-range.ts';
import { byTopic } from '../operators/position.ts';
import { type Danger, dangerOf, type Headroom, headroomOf } from './headroom.ts';
import { NeededTimestamps } from './needed-timestamps.ts';
import { changeInWords, unfitSettings } from './retention-words.ts';

/** Milliseconds between two looks. */
const LOOK_EVERY = 10_000;
/** Looks between two of the topics' settings, which somebody may change meanwhile. */
const SETTINGS_EVERY = 6;

export interface RetentionGuard {
  /** A commit was made: it is the committer's parent now. */
  committed(): void;
  /** Looks now, or waits for the look under way. Rejects with what the log throws. */
  look(): Promise<void>;
  close(): void;
}

export interface GuardSettings {
  readonly log: Log;
  readonly inputs: readonly string[];
  readonly committer: Pick<Committer, 'parent' | 'lineage' | 'topics'>;
  /** The newest so many commits keep their weights; null: all do. */
  readonly keep: number | null;
  readonly onHeadroom: (headroom: Headroom) => void;
  readonly onWarning: (message: string) => void;
}

/**
 * Tells how far the topics' retention is from the oldest records that the run still needs, and warns once each time that
 * it comes near, has removed one, or is far again. It changes nothing: a record that is gone is refused by who reads it.
 */
export async function guardRetention(settings: GuardSettings): Promise<RetentionGuard> {
  const { log, inputs, committer, keep, onHeadroom, onWarning } = settings;
  const { topics } = committer;
  const keeping = new Map<string, TopicKeeping>();
  const timestamps = new NeededTimestamps();
  const dangers = new Map<string, Danger>();
  let commits = await recentCommits(committer, keep ?? 1);
  let first = keep === null ? await firstCommit(log, topics.commits) : null;
  let looks = 0;
  let looking: Promise<void> | null = null;
  let closed = false;

  const learnKeeping = async (): Promise<void> => {
    const own = Object.values(topics);
    for (const topic of [...inputs, ...own]) {
      const found = await log.keeping(topic).catch((error: unknown) => {
        if (hasCode(error, 'LOG_FAILED')) return null; // not allowed to ask
        throw error;
      });
      const before = keeping.get(topic);
      if (found === null || JSON.stringify(before) === JSON.stringify(found)) continue;
      keeping.set(topic, found);
      for (const unfit of unfitSettings(topic, own.includes(topic) ? 'own' : 'input', found)) onWarning(unfit);
    }
  };

  const measure = async (topic: string, needed: readonly NeededRecord[]): Promise<Headroom[]> => {
    const kept = keeping.get(topic) ?? UNLIMITED;
    const ranges = new Map<number, OffsetRange>();
    for (const { partition } of needed)
      if (!ranges.has(partition)) ranges.set(partition, await log.offsets(topic, partition));
    const rangeOf = ({ partition }: NeededRecord): OffsetRange => ranges.get(partition)!;
    if (kept.retentionMs !== null) await timestamps.refresh(log, needed, rangeOf, kept.retentionMs);
    const measured: Headroom[] = [];
    for (const record of needed) {
      const stored = kept.retentionBytes === null ? null : await log.storedBytes(topic, record.partition);
      const timestamp = timestamps.of(record);
      measured.push(
        headroomOf(record, { range: rangeOf(record), keeping: kept, timestamp, storedBytes: stored }, Date.now()),
      );
    }
    return measured;
  };

  /** One danger for each need of a topic: that of its partition with the least left. */
  const tell = (headrooms: readonly Headroom[]): void => {
    const worst = new Map<string, Headroom>();
    for (const headroom of headrooms) {
      onHeadroom(headroom);
      const key = `${headroom.topic} ${headroom.need}`;
      const other = worst.get(key);
      if (other === undefined || isWorse(headroom, other)) worst.set(key, headroom);
    }
    for (const [key, headroom] of worst) {
      const before = dangers.get(key) ?? 'none';
      const now = dangerOf(headroom, before);
      // The archive is what retention leaves: its oldest record is always the next to go. Once told, it is not told again.
      const danger = headroom.need === 'archive' ? worse(before, now) : now;
      dangers.set(key, danger);
      if (danger !== before) onWarning(changeInWords(danger, headroom));
    }
  };

  const lookNow = async (): Promise<void> => {
    if (looks++ % SETTINGS_EVERY === 0) await learnKeeping();
    if (commits.length === 0) return;
    const oldest = first ?? commits[Math.min(keep ?? 1, commits.length) - 1]!;
    const needed = neededRecords(commits, oldest, topics);
    for (const [topic, records] of byTopic(needed)) {
      const headrooms = await measure(topic, records);
      if (closed) return;
      tell(headrooms);
    }
  };
  const look = (): Promise<void> => {
    looking ??= lookNow().finally(() => {
      looking = null;
    });
    return looking;
  };
  const lookAndTell = (): void => {
    look().catch((error: Error) => {
      if (!closed) onWarning(`how far retention is could not be read: ${error.message}`);
    });
  };
  const timer = setInterval(lookAndTell, LOOK_EVERY);
  timer.unref();
  lookAndTell();

  return {
    committed() {
      if (committer.parent === null) return;
      const isFirst = commits.length === 0;
      const newestFirst = [needsOf(committer.parent.commit), ...commits];
      if (keep === null) first ??= newestFirst[0]!;
      commits = newestFirst.slice(0, commitsThatTell(newestFirst, keep ?? 1));
      if (isFirst) lookAndTell();
    },
    look,
    close() {
      closed = true;
      clearInterval(timer);
    },
  };
}

const UNLIMITED: TopicKeeping = { retentionMs: null, retentionBytes: null, compacted: false, maxRecordBytes: null };

const needsOf = ({ position, negatives }: Commit): CommitNeeds => ({ position, negatives });

const BY_DANGER: readonly Danger[] = ['none', 'near', 'gone'];

const worse = (a: Danger, b: Danger): Danger => (BY_DANGER.indexOf(a) > BY_DANGER.indexOf(b) ? a : b);

function isWorse(a: Headroom, b: Headroom): boolean {
  if (a.records < 0 || b.records < 0) return a.records < b.records;
  return a.share < b.share;
}

/** Those of the committed lineage that tell what is needed, newest first. */
async function recentCommits(
  { lineage, parent }: Pick<Committer, 'lineage' | 'parent'>,
  keep: number,
): Promise<CommitNeeds[]> {
  const found: CommitNeeds[] = [];
  for (let index = 0; parent !== null; index++) {
    const entry = await lineage.at(index);
    if (entry === null) break;
    if (entry.offset > parent.offset) continue; // given up by a fallback
    found.push(needsOf(entry.commit));
    if (commitsThatTell(found, keep) < found.length) return found.slice(0, -1);
  }
  // One that this committer made itself (`train --from`) is not in the lineage as it was at the take-over.
  return found.length === 0 && parent !== null ? [needsOf(parent.commit)] : found;
}

/** The first commit that the topic has; null when it has none. */
async function firstCommit(log: Log, topic: string): Promise<CommitNeeds | null> {
  const { earliest, end } = await log.offsets(topic, 0);
  if (earliest >= end) return null;
  for await (const record of readRange(log, topic, 0, earliest, end)) return needsOf(decodeCommit(record).commit);
  return null;
}
