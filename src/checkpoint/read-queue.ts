import type { Negatives, QueueState } from '../codec/records.ts';
import { decode } from '../codec/single-object.ts';
import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { type QueueHistory, queueDigest, rebuildQueue } from '../memory-bank/changelog.ts';
import type { CommitEntry, Lineage } from './commit-history.ts';
import { isSameDigest } from './digest.ts';
import { readBackwards } from './read-backwards.ts';

/**
 * The queue at the lineage's commit `index`, rebuilt from the negatives topic: the last rows of that commit and, as far
 * as the capacity reaches, of the ones before it. Null when the run has no queue.
 * @throws RepulsorError STATE_TRUNCATED when retention removed rows still needed, STATE_DAMAGED when it is not the queue
 * that was committed
 */
export async function readQueue(
  log: Log,
  topic: string,
  lineage: Lineage,
  index: number,
): Promise<QueueHistory | null> {
  const newest = await lineage.at(index);
  if (newest === null || newest.commit.negatives.capacity === 0) return null;
  const { capacity, count, digest } = newest.commit.negatives;
  const { earliest } = await log.offsets(topic, 0);
  const needed = Math.min(count, capacity);
  const records: Negatives[] = [];
  let rows = 0;
  for (let i = index; rows < needed; i++) {
    const entry = await lineage.at(i);
    if (entry === null) throw tooFew(topic, newest, needed, rows);
    const { begin, end } = entry.commit.negatives;
    for await (const { offset, value } of readBackwards(log, topic, Math.max(begin, earliest), end)) {
      const record = decodeNegatives(topic, offset, value, newest.commit.negatives);
      records.push(record);
      rows += record.rows;
      if (rows >= needed) break;
    }
    if (rows < needed && begin < Math.min(earliest, end)) throw truncated(topic, newest, begin, earliest);
  }
  if (rows > count) throw damaged(topic, newest, `it brought ${rows} rows, the commit counts ${count}`);
  const queue = rebuildQueue(newest.commit.negatives, records.reverse());
  if (!isSameDigest(queueDigest(queue), digest)) throw damaged(topic, newest, 'its digest is not the one committed');
  return queue;
}

export function decodeNegatives(
  topic: string,
  offset: number,
  value: Uint8Array | null,
  { dim }: QueueState,
): Negatives {
  let what = 'it is a tombstone';
  let cause: unknown;
  if (value !== null) {
    try {
      const record = decode('negatives', value);
      const whole = record.keys.length === record.rows * dim * 4 && record.labels.length === record.rows;
      if (whole && record.dim === dim) return record;
      what = `its ${record.rows} rows of ${record.dim} numbers do not fit their bytes or the queue`;
    } catch (error) {
      if (!(error instanceof RepulsorError)) throw error;
      what = error.message;
      cause = error;
    }
  }
  throw new RepulsorError('STATE_DAMAGED', `the negatives at ${topic}, offset ${offset}, are damaged: ${what}`, {
    hint: 'Nothing but a trainer may write this topic. Restore it from a copy, or fall back to an earlier commit (`repulsor train --fallback`).',
    cause,
  });
}

function damaged(topic: string, { commit }: CommitEntry, what: string): RepulsorError {
  return new RepulsorError(
    'STATE_DAMAGED',
    `the queue of commit ${commit.generation} (step ${commit.step}) does not come out of ${topic}: ${what}`,
    { hint: 'Restore the topic from a copy, or fall back to the commit before (`repulsor train --fallback`).' },
  );
}

function tooFew(topic: string, entry: CommitEntry, needed: number, rows: number): RepulsorError {
  return damaged(topic, entry, `it needs ${needed} rows, all commits together brought ${rows}`);
}

function truncated(topic: string, { commit }: CommitEntry, begin: number, earliest: number): RepulsorError {
  return new RepulsorError(
    'STATE_TRUNCATED',
    `the queue of commit ${commit.generation} needs ${topic} from before offset ${earliest} (at the furthest ${begin}), but retention removed what lay there`,
    { hint: 'Set the retention of the topic to forever, and restore it from a copy; or begin a new run.' },
  );
}
