import { RepulsorError } from '../../src/errors.ts';
import type {
  Appended,
  FencedWriter,
  Log,
  LogRecord,
  NewRecord,
  OffsetRange,
  ReadOptions,
  TopicKeeping,
} from '../../src/log/log.ts';
import type { ReadMemory } from '../../src/log/read-memory.ts';

/**
 * A Log in memory, for the properties that need thousands of short streams: a file log's fsyncs would take hours. It has
 * what makes reading hard: gaps in the offsets (as transaction markers leave), retention, partitions that grow.
 */
export class MemoryLog implements Log {
  readonly url = 'memory:';
  readonly #topics = new Map<string, { records: LogRecord[]; earliest: number; end: number }[]>();
  readonly #ids = new Map<string, string>();
  #made = 0;
  #grown: (() => void)[] = [];
  /** Reads that are open now, and records handed out so far. */
  openReads = 0;
  handedOut = 0;

  async topics(): Promise<string[]> {
    return [...this.#topics.keys()];
  }

  async createTopic(topic: string, settings: { partitions?: number } = {}): Promise<void> {
    if (this.#topics.has(topic)) return;
    const partitions = Array.from({ length: settings.partitions ?? 1 }, () => ({ records: [], earliest: 0, end: 0 }));
    this.#topics.set(topic, partitions);
    this.#ids.set(topic, `${++this.#made}`);
  }

  /** A topic made after it under the same name has another id. */
  deleteTopic(topic: string): void {
    this.#topics.delete(topic);
  }

  addPartition(topic: string): void {
    this.#find(topic).push({ records: [], earliest: 0, end: 0 });
  }

  /** Compaction: the offset stays, its record does not. */
  compact(topic: string, partition: number, offset: number): void {
    const from = this.#find(topic)[partition]!;
    from.records = from.records.filter((record) => record.offset !== offset);
  }

  async topicId(topic: string): Promise<string> {
    this.#find(topic);
    return this.#ids.get(topic)!;
  }

  async partitions(topic: string): Promise<number[]> {
    return [...this.#find(topic).keys()];
  }

  /** By topic; without limits where none is set. */
  keepingOf: Record<string, TopicKeeping> = {};
  sizes = new Map<string, number>();

  async keeping(topic: string): Promise<TopicKeeping> {
    const unlimited = { retentionMs: null, retentionBytes: null, compacted: false, maxRecordBytes: null };
    return this.keepingOf[topic] ?? unlimited;
  }

  async storedBytes(topic: string, partition: number): Promise<number | null> {
    return this.sizes.get(`${topic}/${partition}`) ?? null;
  }

  async offsets(topic: string, partition: number): Promise<OffsetRange> {
    const { earliest, end } = this.#find(topic)[partition]!;
    return { earliest, end };
  }

  async offsetAt(topic: string, partition: number, timestamp: number): Promise<number> {
    const { records, end } = this.#find(topic)[partition]!;
    return records.find((record) => record.timestamp >= timestamp)?.offset ?? end;
  }

  async append(topic: string, records: readonly NewRecord[]): Promise<Appended> {
    const appended = records.map(({ partition = 0, timestamp = 0, key = null, value, headers = {} }) => {
      const into = this.#find(topic)[partition]!;
      const offset = into.end++;
      into.records.push({ topic, partition, offset, timestamp, key, value, headers });
      return { partition, offset };
    });
    for (const resume of this.#grown.splice(0)) resume();
    return appended;
  }

  /** Offsets that no record has. */
  skipOffsets(topic: string, partition: number, count: number): void {
    this.#find(topic)[partition]!.end += count;
  }

  /** Retention: removes what lies before `offset`. */
  truncate(topic: string, partition: number, offset: number): void {
    const from = this.#find(topic)[partition]!;
    from.earliest = offset;
    from.records = from.records.filter((record) => record.offset >= offset);
  }

  async *read(topic: string, { from, to, turn = 0, memory, signal }: ReadOptions): AsyncGenerator<LogRecord> {
    const ascending = [...from].sort(([a], [b]) => a - b);
    const due = ascending.filter(([partition]) => partition >= turn);
    const next = new Map([...due, ...ascending]);
    const partitions = this.#find(topic);
    for (const [partition, offset] of next) {
      if (offset < partitions[partition]!.earliest) {
        throw new RepulsorError('STATE_TRUNCATED', `${topic}/${partition} starts after ${offset}`, { hint: 'none' });
      }
    }
    this.openReads++;
    try {
      while (next.size > 0 && !signal?.aborted) {
        let found = false;
        for (const [partition, offset] of next) {
          const limit = to?.get(partition) ?? Number.POSITIVE_INFINITY;
          const record = partitions[partition]!.records.find((each) => each.offset >= offset && each.offset < limit);
          if (record === undefined) {
            if (to !== undefined) next.delete(partition);
            continue;
          }
          found = true;
          next.set(partition, record.offset + 1);
          await Promise.resolve();
          if (signal?.aborted) return;
          this.handedOut++;
          yield memory === undefined ? record : inPiece(record, memory);
        }
        if (!found && to === undefined) {
          await new Promise<void>((resolve) => {
            this.#grown.push(resolve);
            signal?.addEventListener('abort', () => resolve(), { once: true });
          });
        }
      }
    } finally {
      this.openReads--;
    }
  }

  async takeOver(): Promise<FencedWriter> {
    throw new Error('this log has no transactions');
  }

  async close(): Promise<void> {}

  #find(topic: string) {
    const found = this.#topics.get(topic);
    if (found === undefined) throw new RepulsorError('TOPIC_MISSING', `no topic ${topic}`, { hint: 'none' });
    return found;
  }
}

/** The record in a piece that is all its own, and is the next record's once this one is released. */
function inPiece(record: LogRecord, memory: ReadMemory): LogRecord {
  const { key, value } = record;
  const [keyBytes, valueBytes] = [key?.byteLength ?? 0, value?.byteLength ?? 0];
  const { buffer, byteOffset } = memory.take(keyBytes + valueBytes);
  const piece = new Uint8Array(buffer, byteOffset, keyBytes + valueBytes);
  if (key !== null) piece.set(key);
  if (value !== null) piece.set(value, keyBytes);
  const placed = {
    ...record,
    key: key && piece.subarray(0, keyBytes),
    value: value && piece.subarray(keyBytes),
  };
  memory.holdRecord(placed);
  memory.release(piece);
  return placed;
}
