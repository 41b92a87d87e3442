import type { Need, NeededRecord } from '../checkpoint/needed-records.ts';
import type { Log, OffsetRange } from '../log/log.ts';

/** Milliseconds that a timestamp is believed though the needed offset has moved on. */
const BELIEVED_FOR = 60_000;

interface Known {
  readonly offset: number;
  readonly timestamp: number;
  readonly readAt: number;
}

/**
 * When the records that are needed were written. Only reading them tells, so it is not done at every look: the timestamp
 * of an older record, needed a minute ago, only makes retention look nearer than it is.
 */
export class NeededTimestamps {
  readonly #known = new Map<string, Known>();

  /** Null when it was not read, or the partition had nothing there. */
  of(needed: NeededRecord): number | null {
    return this.#known.get(nameOf(needed))?.timestamp ?? null;
  }

  /** Reads what has to be read for records of one topic: one read for all its partitions. */
  async refresh(
    log: Log,
    needed: readonly NeededRecord[],
    rangeOf: (record: NeededRecord) => OffsetRange,
    retentionMs: number,
  ): Promise<void> {
    const now = Date.now();
    const stale = needed.filter((record) => {
      const { earliest, end } = rangeOf(record);
      if (record.offset < earliest || record.offset >= end) return false;
      const known = this.#known.get(nameOf(record));
      if (known === undefined) return true;
      if (known.offset === record.offset) return false;
      const looksNear = known.timestamp + retentionMs - now < retentionMs / 2;
      return looksNear || now - known.readAt > BELIEVED_FOR;
    });
    for (const need of new Set(stale.map((record) => record.need))) await this.#read(log, stale, rangeOf, need, now);
  }

  async #read(
    log: Log,
    stale: readonly NeededRecord[],
    rangeOf: (record: NeededRecord) => OffsetRange,
    need: Need,
    now: number,
  ): Promise<void> {
    const wanted = new Map(stale.filter((record) => record.need === need).map((record) => [record.partition, record]));
    const from = new Map([...wanted].map(([partition, { offset }]) => [partition, offset]));
    const to = new Map([...wanted].map(([partition, record]) => [partition, rangeOf(record).end]));
    const topic = stale[0]!.topic;
    // A bounded read takes one record of each partition first: the second of any says that all first ones were there.
    for await (const { partition, timestamp } of log.read(topic, { from, to, maxBufferedBytes: 1 })) {
      const record = wanted.get(partition);
      if (record === undefined) break;
      this.#known.set(nameOf(record), { offset: record.offset, timestamp, readAt: now });
      wanted.delete(partition);
      if (wanted.size === 0) break;
    }
  }
}

const nameOf = ({ topic, partition, need }: NeededRecord): string => `${need} ${topic}/${partition}`;
