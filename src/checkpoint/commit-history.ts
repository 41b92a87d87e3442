import { createHash } from 'node:crypto';
import { BadRecord } from '../codec/bad-record.ts';
import type { Commit } from '../codec/records.ts';
import { decode } from '../codec/single-object.ts';
import { RepulsorError } from '../errors.ts';
import type { Log, LogRecord } from '../log/log.ts';
import { isSameDigest, ZERO_DIGEST } from './digest.ts';
import { readBackwards } from './read-backwards.ts';

/** Of the commit record and all it names. */
export const FORMAT_VERSION = 1;

/** A header, readable before the record is: a newer record may have a schema that this version cannot resolve. */
export const FORMAT_HEADER = 'repulsor-format';

/** A committed commit record. */
export interface CommitEntry {
  readonly commit: Commit;
  /** SHA-256 of its encoded bytes: what its successor calls `previous`. */
  readonly digest: Uint8Array;
  /** In the commits topic. */
  readonly offset: number;
}

/** A commit and the ones it was built on, newest first, read from the log as far as asked. */
export interface Lineage {
  /** The i-th commit before the newest (0 is the newest itself); null past the first. */
  at(index: number): Promise<CommitEntry | null>;
}

/**
 * Every commit of the topic, newest first, checked against its neighbours as it is read. With `before`, those at smaller
 * offsets only.
 * @throws RepulsorError STATE_DAMAGED, STATE_TRUNCATED, FORMAT_NEWER
 */
export async function* commitsBackwards(log: Log, topic: string, before?: number): AsyncGenerator<CommitEntry> {
  const { earliest, end: last } = await log.offsets(topic, 0);
  const end = Math.min(before ?? last, last);
  let newer: CommitEntry | null = null;
  for await (const record of readBackwards(log, topic, earliest, end)) {
    const entry = decodeCommit(record);
    if (newer !== null && newer.commit.generation !== entry.commit.generation + 1) {
      const { generation } = newer.commit;
      throw damagedHistory(topic, `generation ${generation} follows ${entry.commit.generation}`, record.offset);
    }
    yield entry;
    newer = entry;
  }
  if (newer !== null && newer.commit.generation !== 1) throw truncatedHistory(topic, newer.commit.generation);
}

/**
 * The newest commit and its ancestors. A commit names the one it continues by digest, so what is skipped here was given up
 * by a fallback, and what is found is what was written. With `before`, as it stood before that offset of the topic.
 */
export function openLineage(log: Log, topic: string, before?: number): Lineage {
  const found: CommitEntry[] = [];
  const ancestors = lineageBackwards(log, topic, before);
  let reading: Promise<void> = Promise.resolve();
  let done = false;
  return {
    async at(index) {
      reading = reading.then(async () => {
        while (!done && found.length <= index) {
          const next = await ancestors.next();
          if (next.done) done = true;
          else found.push(next.value);
        }
      });
      await reading;
      return found[index] ?? null;
    },
  };
}

/** The same, one commit at a time and held by nobody: a run of years has more commits than should be held at once. */
export async function* lineageBackwards(log: Log, topic: string, before?: number): AsyncGenerator<CommitEntry> {
  let child: CommitEntry | null = null;
  for await (const entry of commitsBackwards(log, topic, before)) {
    if (child !== null && !isSameDigest(child.commit.previous, entry.digest)) continue;
    yield entry;
    if (isSameDigest(entry.commit.previous, ZERO_DIGEST)) return;
    child = entry;
  }
  if (child === null) return;
  const { generation } = child.commit;
  throw damagedHistory(topic, `no commit has the digest that generation ${generation} continues`, child.offset);
}

/** @throws RepulsorError STATE_DAMAGED, FORMAT_NEWER */
export function decodeCommit(record: LogRecord): CommitEntry {
  const { topic, offset, value, headers } = record;
  const format = headers[FORMAT_HEADER];
  if (format !== undefined) checkFormat(Number(new TextDecoder().decode(format)), record);
  if (value === null) throw damagedHistory(topic, 'a tombstone lies among the commits', offset);
  let commit: Commit;
  try {
    commit = decode('commit', value);
  } catch (cause) {
    if (cause instanceof BadRecord) throw damagedHistory(topic, cause.message, offset, cause);
    throw cause;
  }
  checkFormat(commit.formatVersion, record);
  return { commit, digest: createHash('sha256').update(value).digest(), offset };
}

function checkFormat(version: number, { topic, offset }: LogRecord): void {
  if (version <= FORMAT_VERSION) return;
  throw new RepulsorError(
    'FORMAT_NEWER',
    `the commit at ${topic}, offset ${offset}, has format ${version}; this version reads ${FORMAT_VERSION}`,
    { hint: 'Use the version of repulsor that made the run, or a later one.' },
  );
}

function damagedHistory(topic: string, what: string, offset: number, cause?: unknown): RepulsorError {
  return new RepulsorError('STATE_DAMAGED', `the commits of ${topic} are damaged at offset ${offset}: ${what}`, {
    hint: 'Nothing but a trainer may write this topic. Restore it from a backup.',
    cause,
  });
}

function truncatedHistory(topic: string, generation: number): RepulsorError {
  return new RepulsorError('STATE_TRUNCATED', `the first commit left in ${topic} is generation ${generation}`, {
    hint: 'Set the retention of this topic to forever; restore the older commits from a copy if they are needed.',
  });
}
