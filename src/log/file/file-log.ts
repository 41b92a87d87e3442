import { access } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { RepulsorError } from '../../errors.ts';
import { isCode, makeFolder } from '../../files/durable-file.ts';
import type {
  Appended,
  CopyTarget,
  ExactWriter,
  FencedWriter,
  Log,
  LogRecord,
  NewRecord,
  OffsetRange,
  ReadOptions,
  TopicKeeping,
  TopicSettings,
} from '../log.ts';
import { outsideError } from '../offset-errors.ts';
import type { ReadMemory } from '../read-memory.ts';
import { inTurns, type PartitionCursor } from '../turns.ts';
import { Chain } from './chain.ts';
import { Committed } from './committed.ts';
import { CommittedCursor } from './committed-cursor.ts';
import { EpochPartition } from './epoch-partition.ts';
import { asLogError } from './file-errors.ts';
import { FileExactWriter } from './file-exact-writer.ts';
import { type FileWriter, takeOverFile } from './file-transaction.ts';
import { idFolder, partitionFolder, topicsFolder } from './layout.ts';
import { committedOffsetAt, plainOffsetAt } from './offset-at.ts';
import { listPartition } from './partition-files.ts';
import { type CursorOptions, PlainCursor } from './plain-cursor.ts';
import { findPlainEnd, type PlainEnd } from './plain-partition.ts';
import { PlainWriter } from './plain-writer.ts';
import { claimTopic, demandPartition, listTopics, loadOwner, loadTopic, storeTopic } from './topic-settings.ts';

export interface FileLogOptions {
  /** A segment is followed by the next one once it has this many bytes. Default 64 MiB. */
  readonly segmentBytes?: number;
}

/** How often a reader looks for records that another process may have written: less often the longer none came. */
const SHORTEST_POLL_MS = 5;
const LONGEST_POLL_MS = 100;

/** The embedded log: a folder, written by one process a topic, read by any number. layout.ts says what lies where. */
export class FileLog implements Log, CopyTarget {
  readonly url: string;
  readonly #root: string;
  readonly #segmentBytes: number;
  readonly #committed = new Map<string, Committed>();
  readonly #writers = new Map<string, Promise<PlainWriter>>();
  readonly #fenced = new Set<FencedWriter>();
  readonly #ends = new Map<string, PlainEnd>();

  private constructor(root: string, url: string, options: FileLogOptions) {
    this.#root = root;
    this.url = url;
    this.#segmentBytes = options.segmentBytes ?? 64 * 1024 * 1024;
  }

  /** Opens the log in folder `root`, which is made when it is not there, if `create`. @throws RepulsorError LOG_UNREACHABLE */
  static async open(root: string, url: string, options: FileLogOptions = {}, create = true): Promise<FileLog> {
    try {
      if (create) await makeFolder(topicsFolder(root));
      else await access(topicsFolder(root));
    } catch (error) {
      if (!create && isCode(error, 'ENOENT')) throw noLog(root, error);
      throw new RepulsorError(
        'LOG_UNREACHABLE',
        `the folder ${root} of the log cannot be opened: ${(error as Error).message}`,
        {
          hint: 'Check the path and its permissions.',
          cause: error,
        },
      );
    }
    return new FileLog(root, url, options);
  }

  topics(): Promise<string[]> {
    return asLogError('listing topics', () => listTopics(this.#root));
  }

  createTopic(topic: string, settings: TopicSettings = {}): Promise<void> {
    return asLogError(`creating topic ${topic}`, () => storeTopic(this.#root, topic, settings));
  }

  async partitions(topic: string): Promise<number[]> {
    const { partitions } = await asLogError(`looking up ${topic}`, () => loadTopic(this.#root, topic));
    return Array.from({ length: partitions }, (_, partition) => partition);
  }

  async topicId(topic: string): Promise<string | null> {
    const { id } = await asLogError(`looking up ${topic}`, () => loadTopic(this.#root, topic));
    return id ?? null;
  }

  async keeping(topic: string): Promise<TopicKeeping> {
    const { retentionMs } = await asLogError(`looking up ${topic}`, () => loadTopic(this.#root, topic));
    return { retentionMs, retentionBytes: null, compacted: false, maxRecordBytes: null };
  }

  async storedBytes(): Promise<null> {
    return null;
  }

  offsets(topic: string, partition: number): Promise<OffsetRange> {
    return asLogError(`reading the offsets of ${topic}/${partition}`, async () => {
      const folder = await this.#demandPartition(topic, partition);
      const owner = await loadOwner(this.#root, topic);
      const end =
        owner?.by === 'transactions'
          ? await this.#committedEnd(owner.id, topic, partition)
          : await this.#plainEnd(folder);
      const { start } = await listPartition(folder);
      return { earliest: start, end: Math.max(start, end) };
    });
  }

  offsetAt(topic: string, partition: number, timestamp: number): Promise<number> {
    return asLogError(`looking for a time in ${topic}/${partition}`, async () => {
      const { end } = await this.offsets(topic, partition);
      const place = { topic, partition, folder: partitionFolder(this.#root, topic, partition) };
      const owner = await loadOwner(this.#root, topic);
      const found =
        owner?.by === 'transactions'
          ? await committedOffsetAt(place, this.#committedOf(owner.id).spansOf(topic, partition), timestamp)
          : await plainOffsetAt(place, timestamp);
      return Math.min(found ?? end, end);
    });
  }

  async #committedEnd(id: string, topic: string, partition: number): Promise<number> {
    const committed = this.#committedOf(id);
    await committed.refresh();
    return committed.endOf(topic, partition);
  }

  async #plainEnd(folder: string): Promise<number> {
    const end = await findPlainEnd(folder, this.#ends.get(folder) ?? null);
    if (end === null) return 0;
    this.#ends.set(folder, end);
    return end.offset;
  }

  async *read(topic: string, options: ReadOptions): AsyncGenerator<LogRecord> {
    const { from, to, turn, signal, memory, maxBufferedBytes = 16 * 1024 * 1024 } = options;
    const windowBytes = Math.min(1 << 20, Math.max(4096, Math.floor(maxBufferedBytes / Math.max(1, from.size))));
    const cursors = await asLogError(`reading ${topic}`, () =>
      this.#cursors(topic, from, to, windowBytes, memory, signal),
    );
    if (cursors === null) return;
    let delay = SHORTEST_POLL_MS;
    const wait = async (): Promise<void> => {
      await pause(delay, signal);
      delay = Math.min(delay * 2, LONGEST_POLL_MS);
    };
    const records = inTurns(cursors, { bounded: to !== undefined, turn, signal, wait });
    for await (const record of asLogErrors(`reading ${topic}`, records)) {
      delay = SHORTEST_POLL_MS;
      yield record;
    }
  }

  /** One cursor a partition; null when the signal aborted before the topic had a writer. */
  async #cursors(
    topic: string,
    from: ReadonlyMap<number, number>,
    to: ReadonlyMap<number, number> | undefined,
    windowBytes: number,
    memory: ReadMemory | undefined,
    signal: AbortSignal | undefined,
  ): Promise<PartitionCursor[] | null> {
    for (const [partition, offset] of from) {
      const { earliest, end } = await this.offsets(topic, partition);
      if (offset < earliest || offset > end) throw outsideError(topic, partition, offset, earliest, end);
    }
    const wanted = [...from].filter(
      ([partition, offset]) => to === undefined || offset < (to.get(partition) ?? offset),
    );
    if (wanted.length === 0 && to !== undefined) return [];
    let owner = await loadOwner(this.#root, topic);
    while (owner === null) {
      await pause(LONGEST_POLL_MS, signal);
      if (signal?.aborted) return null;
      owner = await loadOwner(this.#root, topic);
    }
    const cursors: PartitionCursor[] = [];
    for (const [partition, offset] of wanted) {
      const cursor: CursorOptions = {
        topic,
        partition,
        folder: partitionFolder(this.#root, topic, partition),
        from: offset,
        to: to?.get(partition) ?? null,
        windowBytes,
        memory,
        truncated: (at, start) => outsideError(topic, partition, at, start, null),
      };
      cursors.push(
        owner.by === 'append' ? new PlainCursor(cursor) : new CommittedCursor(cursor, this.#committedOf(owner.id)),
      );
    }
    return cursors;
  }

  append(topic: string, records: readonly NewRecord[]): Promise<Appended> {
    return asLogError(`appending to ${topic}`, async () => {
      let writer = this.#writers.get(topic);
      if (writer === undefined) {
        writer = PlainWriter.open(this.#root, topic, this.#segmentBytes);
        this.#writers.set(topic, writer);
        writer.catch(() => this.#writers.delete(topic));
      }
      return (await writer).append(records);
    });
  }

  exactWriter(topic: string, writerId: string): Promise<ExactWriter> {
    return asLogError(`copying into ${topic}`, async () => {
      const { partitions } = await loadTopic(this.#root, topic);
      const writer = await this.takeOver(writerId);
      // Also where there is nothing to write: a topic without a writer would be anyone's.
      await claimTopic(this.#root, topic, { by: 'transactions', id: writerId });
      const folders = Array.from({ length: partitions }, (_, partition) =>
        partitionFolder(this.#root, topic, partition),
      );
      return new FileExactWriter(topic, writer, folders);
    });
  }

  takeOver(transactionalId: string): Promise<FileWriter> {
    return asLogError(`taking over ${transactionalId}`, async () => {
      const committed = this.#committedOf(transactionalId);
      await committed.chain.create();
      const openPartition = async (
        topic: string,
        partition: number,
        id: string,
        epoch: number,
      ): Promise<EpochPartition> => {
        const folder = await this.#demandPartition(topic, partition);
        await claimTopic(this.#root, topic, { by: 'transactions', id });
        const { retentionMs } = await loadTopic(this.#root, topic);
        const options = { topic, partition, folder, epoch, segmentBytes: this.#segmentBytes, retentionMs };
        return new EpochPartition(options, committed);
      };
      const writer = await takeOverFile(transactionalId, committed, { openPartition });
      this.#fenced.add(writer);
      return writer;
    });
  }

  async close(): Promise<void> {
    const writers = await Promise.allSettled(this.#writers.values());
    this.#writers.clear();
    for (const writer of writers) if (writer.status === 'fulfilled') await writer.value.close();
    for (const writer of this.#fenced) await writer.close();
    this.#fenced.clear();
  }

  #committedOf(id: string): Committed {
    let committed = this.#committed.get(id);
    if (committed === undefined) {
      committed = new Committed(new Chain(idFolder(this.#root, id)));
      this.#committed.set(id, committed);
    }
    return committed;
  }

  /** The folder of a partition. @throws RepulsorError TOPIC_MISSING */
  async #demandPartition(topic: string, partition: number): Promise<string> {
    demandPartition(topic, await loadTopic(this.#root, topic), partition);
    return partitionFolder(this.#root, topic, partition);
  }
}

function noLog(root: string, cause: unknown): RepulsorError {
  return new RepulsorError('LOG_UNREACHABLE', `there is no log in the folder ${root}`, {
    hint: 'Check the path: a log is made by whoever first writes to it (`repulsor ingest`, `repulsor train`).',
    cause,
  });
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(ms, undefined, signal === undefined ? undefined : { signal }).catch(() => undefined);
}

async function* asLogErrors<T>(what: string, items: AsyncGenerator<T>): AsyncGenerator<T> {
  try {
    for (;;) {
      const next = await asLogError(what, () => items.next());
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await items.return(undefined);
  }
}
