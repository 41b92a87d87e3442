/**
 * The Log: partitioned, append-only, offsets per partition. Two implementations, held to one test suite
 * (test/log/contract.test.ts): `file:DIR` (embedded, src/log/file/file-log.ts) and `kafka://host:port,...`
 * (src/log/kafka/kafka-log.ts). Everything read is *committed*: records of open or aborted transactions are never seen.
 */

import type { ReadMemory } from './read-memory.ts';

/**
 * One record as read. `offset` is exact up to 2^53 - 1. Offsets of a partition rise but may have gaps. Key, value and headers
 * may be views of what was read in one piece, of some megabytes: nobody writes to them, and who keeps them for long copies them.
 */
export interface LogRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since the epoch, as given by the writer. */
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  /** `null` is a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers: Readonly<Record<string, Uint8Array>>;
}

/** One record to write. `partition` defaults to 0, `timestamp` to now. */
export interface NewRecord {
  readonly partition?: number;
  readonly timestamp?: number;
  readonly key?: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: Readonly<Record<string, Uint8Array>>;
}

export interface TopicSettings {
  /** Number of partitions of a new topic. Default 1. */
  readonly partitions?: number;
  /** Milliseconds that records are kept; `null` (the default) keeps them forever. */
  readonly retentionMs?: number | null;
}

/** How long a log keeps the records of a topic. Null: without that limit. */
export interface TopicKeeping {
  /** Milliseconds after its timestamp that a record may be removed. */
  readonly retentionMs: number | null;
  /** Bytes of a partition past which its oldest records may be removed. */
  readonly retentionBytes: number | null;
  /** Older records of a key may be removed. */
  readonly compacted: boolean;
  /** Bytes of the largest record that it takes. */
  readonly maxRecordBytes: number | null;
}

/** `earliest`: the first offset still there. `end`: one past the last *committed* record (the last stable offset). */
export interface OffsetRange {
  readonly earliest: number;
  readonly end: number;
}

export interface ReadOptions {
  /** Partition -> first offset wanted. Only these partitions are read. */
  readonly from: ReadonlyMap<number, number>;
  /** Partition -> first offset no longer wanted: the read ends there (and waits for it when it is not committed yet). Absent: it follows the topic forever. */
  readonly to?: ReadonlyMap<number, number>;
  /** The partition whose turn is first in a bounded read, so that a read goes on where another stopped. Default: the lowest. */
  readonly turn?: number;
  /**
   * Most bytes held ahead of the reader, over all partitions. Default 16 MiB. The unit is what the log stores in one
   * piece: one record of each partition (file) or one producer's batch (Kafka) is held even if it is larger.
   */
  readonly maxBufferedBytes?: number;
  /**
   * Where what is read comes to lie. Who gives it tells it (`releaseRecord`) when nobody looks at a record any more.
   * Absent: the records stay as they are.
   */
  readonly memory?: ReadMemory | undefined;
  /** Ends the read, without an error, soon after it aborts. */
  readonly signal?: AbortSignal;
}

/** Where a batch of appended records came to lie: for each record, in the order given, its partition and offset. */
export type Appended = ReadonlyArray<{ readonly partition: number; readonly offset: number }>;

/** An open transaction: nothing of it can be read before `commit` resolves; all of it after. Used once. */
export interface Transaction {
  append(topic: string, records: readonly NewRecord[]): Promise<Appended>;
  /** The consumer group's offsets become part of the transaction, so that outside tools (lag monitors) see them. */
  sendOffsets(group: string, topic: string, next: ReadonlyMap<number, number>): Promise<void>;
  /** @throws RepulsorError FENCED when another writer took the id over. */
  commit(): Promise<void>;
  abort(): Promise<void>;
}

/** The one living writer of a transactional id. */
export interface FencedWriter {
  /**
   * Rises with each `takeOver`. On a file log it counts them. On Kafka it is the producer id and epoch in one number
   * (id * 2^15 + epoch), which starts anew after the broker forgot an id unused for transactional.id.expiration.ms (7 days).
   */
  readonly epoch: number;
  /** @throws RepulsorError FENCED when another writer took the id over. */
  begin(): Promise<Transaction>;
  close(): Promise<void>;
}

export interface Log {
  /** The URL it was opened by, without secrets. */
  readonly url: string;
  topics(): Promise<string[]>;
  /** Does nothing when the topic is there already. */
  createTopic(topic: string, settings?: TopicSettings): Promise<void>;
  /** @throws RepulsorError TOPIC_MISSING */
  partitions(topic: string): Promise<number[]>;
  /**
   * An id that a topic of the same name that is made anew does not have. Null where the log knows none: Kafka before 2.8,
   * file topics made by version 0.1. @throws RepulsorError TOPIC_MISSING
   */
  topicId(topic: string): Promise<string | null>;
  /** @throws RepulsorError TOPIC_MISSING, LOG_FAILED when the user may not ask */
  keeping(topic: string): Promise<TopicKeeping>;
  /** Bytes stored of a partition, where a topic can have a limit of bytes and the user may ask; else null. */
  storedBytes(topic: string, partition: number): Promise<number | null>;
  /** @throws RepulsorError TOPIC_MISSING */
  offsets(topic: string, partition: number): Promise<OffsetRange>;
  /**
   * The offset of the first committed record, of those still there, that has this timestamp (milliseconds since the epoch)
   * or a later one; the end when there is none.
   * @throws RepulsorError TOPIC_MISSING
   */
  offsetAt(topic: string, partition: number, timestamp: number): Promise<number>;
  /**
   * Reads committed records. Pull-based: at most `maxBufferedBytes` are held ahead of the reader. With `to`, records come
   * partition by partition in turn, one record each (round robin by ascending partition, a partition leaves the turn
   * when it is done), so a bounded read has one order only. Without `to`, partitions come as their records arrive.
   * @throws RepulsorError STATE_TRUNCATED when `from` lies before the earliest offset still there, or past the end
   * (the topic was emptied or made anew), STATE_DAMAGED when a checksum does not match.
   */
  read(topic: string, options: ReadOptions): AsyncIterable<LogRecord>;
  /** Plain append, durable when it resolves. @throws RepulsorError LOG_LOCKED */
  append(topic: string, records: readonly NewRecord[]): Promise<Appended>;
  /** Becomes the writer of `transactionalId`: fences the one before and ends its open transaction first. */
  takeOver(transactionalId: string): Promise<FencedWriter>;
  close(): Promise<void>;
}

/**
 * Writes a topic's partitions at given offsets, which is how a topic is copied: offsets that the original has not stay
 * gaps. One of them a topic: another one that is opened with the same id, or a trainer's take-over of it, ends this one.
 */
export interface ExactWriter {
  /** Lets a partition that never had a record begin at `start`. */
  begin(partition: number, start: number): Promise<void>;
  /**
   * Appends records at their own offsets, ascending and at or past the partition's end, and lets it end at `end`, one past
   * the last of them or further. Durable, and to be read, when it resolves; of a call that failed a part may be there.
   * @throws RepulsorError FENCED, LOG_FAILED when another writer came between, BAD_RECORD
   */
  write(partition: number, records: readonly LogRecord[], end: number): Promise<void>;
  close(): Promise<void>;
}

/** A log that can hold copies. */
export interface CopyTarget {
  /** `writerId`: the transactional id that is to be the topic's writer from then on, where a log has such a thing (file). */
  exactWriter(topic: string, writerId: string): Promise<ExactWriter>;
}
