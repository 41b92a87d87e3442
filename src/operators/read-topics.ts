import { hasCode } from '../errors.ts';
import type { Log, LogRecord } from '../log/log.ts';
import type { ReadMemory } from '../log/read-memory.ts';
import { byTopic, type PartitionOffset, type Place } from './position.ts';
import { deletedError } from './topic-identity.ts';
import { inTopicTurns, type TopicRead } from './topic-turns.ts';

const BUFFERED_BYTES = 16 * 2 ** 20;

export interface ReadTopicsOptions {
  /** The first offset wanted of each partition, sorted by (topic, partition). Only these are read. */
  readonly from: readonly PartitionOffset[];
  /** One past the last offset wanted of each of them; absent: they are followed. */
  readonly to?: readonly PartitionOffset[];
  /** Whose turn is first in a bounded read. */
  readonly turn?: Place;
  /** Bytes that the log may hold ahead over all topics, shared by their numbers of partitions. Default 16 MiB. */
  readonly maxBufferedBytes?: number | undefined;
  /** As `Log.read` has it. */
  readonly memory?: ReadMemory | undefined;
  readonly signal: AbortSignal;
}

/**
 * The records of several topics as one sequence (topic-turns.ts): one `Log.read` a topic, all of them ended with it.
 * Their partitions were looked up: one that is not there any more was deleted. @throws RepulsorError STATE_MISSING
 */
export async function* readTopics(log: Log, options: ReadTopicsOptions): AsyncGenerator<LogRecord> {
  const { from, to, turn, maxBufferedBytes = BUFFERED_BYTES, memory, signal } = options;
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  if (signal.aborted) return;
  signal.addEventListener('abort', abort, { once: true });
  const ends = to === undefined ? null : byTopic(to);
  const reads = [...byTopic(from)].map(([topic, places]): TopicRead & { records: AsyncGenerator<LogRecord> } => ({
    topic,
    records: log.read(topic, {
      from: offsets(places),
      ...(ends !== null && { to: offsets(ends.get(topic) ?? []) }),
      ...(turn?.topic === topic && { turn: turn.partition }),
      maxBufferedBytes: Math.max(1, Math.floor((maxBufferedBytes * places.length) / from.length)),
      memory,
      signal: stop.signal,
    }) as AsyncGenerator<LogRecord>,
  }));
  try {
    yield* inTopicTurns(reads, { bounded: to !== undefined, ...(turn && { turn }) });
  } catch (error) {
    throw hasCode(error, 'TOPIC_MISSING') ? deletedError(error) : error;
  } finally {
    signal.removeEventListener('abort', abort);
    stop.abort();
    await Promise.allSettled(reads.map(({ records }) => records.return(undefined)));
  }
}

const offsets = (places: readonly PartitionOffset[]): Map<number, number> =>
  new Map(places.map(({ partition, offset }) => [partition, offset]));
