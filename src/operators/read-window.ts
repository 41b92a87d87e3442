import { RepulsorError } from '../errors.ts';
import type { Log, LogRecord } from '../log/log.ts';
import { comparePlaces, type PartitionOffset, type Place, type RecordRun } from './position.ts';
import { type ReadTopicsOptions, readTopics } from './read-topics.ts';

/**
 * Reads again exactly the records of a shuffle window that was open when the run stopped, in their order then. They are
 * held at once: a window's samples are all in memory anyway.
 * @throws RepulsorError STATE_TRUNCATED when one of them is gone
 */
export async function readWindow(
  log: Log,
  runs: readonly RecordRun[],
  options: Pick<ReadTopicsOptions, 'signal' | 'maxBufferedBytes' | 'memory'>,
): Promise<LogRecord[]> {
  const ranges = new Map<string, Place & { first: number; last: number }>();
  for (const { topic, partition, offsets } of runs) {
    const range = ranges.get(`${topic}/${partition}`) ?? { topic, partition, first: offsets[0]!, last: offsets[0]! };
    for (const offset of offsets) {
      range.first = Math.min(range.first, offset);
      range.last = Math.max(range.last, offset);
    }
    ranges.set(`${topic}/${partition}`, range);
  }
  const places = [...ranges.values()].sort(comparePlaces);
  const at = (offset: (range: { first: number; last: number }) => number): PartitionOffset[] =>
    places.map(({ topic, partition, ...range }) => ({ topic, partition, offset: offset(range) }));
  const found = new Map<string, LogRecord>();
  const wanted = { from: at(({ first }) => first), to: at(({ last }) => last + 1) };
  for await (const record of readTopics(log, { ...options, ...wanted })) {
    found.set(`${record.topic}/${record.partition}/${record.offset}`, record);
  }
  if (options.signal.aborted) return [];
  const missing: PartitionOffset[] = [];
  const records: LogRecord[] = [];
  for (const { topic, partition, offsets } of runs)
    for (const offset of offsets) {
      const record = found.get(`${topic}/${partition}/${offset}`);
      if (record === undefined) missing.push({ topic, partition, offset });
      else records.push(record);
    }
  if (missing.length > 0) throw windowGone(missing);
  return records;
}

/** Compaction leaves holes: the offsets around a record that is gone are still there. */
function windowGone(missing: readonly PartitionOffset[]): RepulsorError {
  const named = missing.slice(0, 3).map(({ topic, partition, offset }) => `${topic}/${partition} offset ${offset}`);
  const more = missing.length > named.length ? ` and ${missing.length - named.length} more` : '';
  const what = missing.length === 1 ? 'is gone' : 'are gone';
  return new RepulsorError(
    'STATE_TRUNCATED',
    `${named.join(', ')}${more} ${what}, but the shuffle window that the run stopped in still needs them`,
    {
      hint: 'do not compact an input topic (cleanup.policy=delete) and keep its records longer; or start a new run',
    },
  );
}
