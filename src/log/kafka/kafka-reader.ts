import { setTimeout as sleep } from 'node:timers/promises';
import type { RepulsorError } from '../../errors.ts';
import type { LogRecord } from '../log.ts';
import { outsideError } from '../offset-errors.ts';
import type { ReadMemory } from '../read-memory.ts';
import type { PartitionCursor } from '../turns.ts';
import { CommittedBatches } from './committed-batches.ts';
import type { KafkaClient } from './kafka-client.ts';
import { asRepulsorError, BrokerError, CODE, judge } from './kafka-errors.ts';
import { EARLIEST, END, fetch, listOffset } from './wire.ts';

export interface KafkaReaderOptions {
  readonly topic: string;
  readonly from: ReadonlyMap<number, number>;
  readonly to: ReadonlyMap<number, number> | undefined;
  readonly maxBufferedBytes: number;
  /** The client's. */
  readonly memory: ReadMemory;
  readonly signal: AbortSignal | undefined;
}

/** How long a broker holds a fetch open when there is nothing new. */
const LONG_POLL_MS = 100;
/**
 * Bytes of a partition asked for at once, as the Java client does: what is larger is out of the processor's caches, and the
 * allocator's reach, before it is unpacked. A batch that is larger still comes whole.
 */
const MOST_FETCHED = 2 ** 20;
/** How long brokers may be out of reach before the read fails. */
const PATIENCE_MS = 60_000;

/**
 * Reads partitions by hand, without a consumer group: asks each leader for what there is room for, and only then.
 * `client` is this read's own: a fetch that waits holds up whatever else is asked over its connection.
 */
export class KafkaReader {
  readonly cursors: readonly KafkaCursor[];
  readonly #client: KafkaClient;
  readonly #options: KafkaReaderOptions;
  /** Fetches on their way, by leader. */
  readonly #fetching = new Map<number, Promise<void>>();
  #failure: unknown = null;
  /** Answers that brought a partition something, counted. */
  #fed = 0;
  #lastAnswer = performance.now();

  constructor(client: KafkaClient, options: KafkaReaderOptions) {
    this.#client = client;
    this.#options = options;
    const share = Math.max(1, Math.floor(options.maxBufferedBytes / Math.max(1, options.from.size)));
    this.cursors = [...options.from].map(
      ([partition, offset]) =>
        new KafkaCursor(
          this,
          partition,
          offset,
          options.to === undefined ? null : (options.to.get(partition) ?? offset),
          share,
          options.memory,
        ),
    );
  }

  get topic(): string {
    return this.#options.topic;
  }

  demandHealthy(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** Resolves when something was fetched, and soon after the signal aborts. */
  async wait(): Promise<void> {
    const { signal } = this.#options;
    await this.fetchMore();
    let stop = (): void => undefined;
    const aborted = new Promise<void>((resolve) => {
      stop = resolve;
      signal?.addEventListener('abort', stop, { once: true });
      if (signal?.aborted) resolve();
    });
    // None: the leader could not be asked, and the time to wait for that has passed.
    if (this.#fetching.size > 0) await Promise.race([aborted, ...this.#fetching.values()]);
    signal?.removeEventListener('abort', stop);
    this.demandHealthy();
  }

  /** Sends a fetch to each leader that has none on its way and of whose partitions there is room for more. */
  async fetchMore(): Promise<void> {
    const byLeader = new Map<number, KafkaCursor[]>();
    for (const cursor of this.cursors) {
      if (cursor.room === 0) continue;
      const leader = await this.#leaderOf(cursor.partition);
      if (leader === null) return;
      const known = byLeader.get(leader);
      if (known === undefined) byLeader.set(leader, [cursor]);
      else known.push(cursor);
    }
    for (const [leader, cursors] of byLeader) {
      if (this.#fetching.has(leader)) continue;
      const fetching = this.#fetchFrom(leader, cursors)
        .catch((error: unknown) => this.#failed(error))
        .then((brought) => {
          this.#fetching.delete(leader);
          // The next is on its way while this one is unpacked; after one that brought nothing the reader asks.
          if (brought === true) void this.fetchMore();
        });
      this.#fetching.set(leader, fetching);
    }
  }

  async #leaderOf(partition: number): Promise<number | null> {
    try {
      return await this.#client.leaderId(this.topic, partition);
    } catch (error) {
      await this.#failed(error);
      return null;
    }
  }

  /** Whether it brought something. */
  async #fetchFrom(leader: number, cursors: KafkaCursor[]): Promise<boolean> {
    // The first partition of a fetch that has something is sure to get a batch, however large: the one whose last batch
    // came longest ago, or a busy one could keep out the large batches of another for ever.
    cursors.sort((a, b) => a.fed - b.fed || b.room - a.room);
    const broker = await this.#client.node(leader);
    const partitions = cursors.map(({ partition, fetched, room }) => ({ partition, offset: fetched, maxBytes: room }));
    const answer = await fetch(broker, { topic: this.topic, partitions, maxWaitMs: LONG_POLL_MS });
    this.#lastAnswer = performance.now();
    const before = this.#fed;
    for (const data of answer) {
      const cursor = cursors.find(({ partition }) => partition === data.partition);
      if (cursor === undefined) continue;
      const where = `reading ${this.topic}, partition ${data.partition}`;
      if (data.code === CODE.offsetOutOfRange) throw await this.#outside(cursor);
      if (data.code !== 0) throw new BrokerError(data.code, where);
      const batches = new CommittedBatches(this.topic, data, cursor.fetched);
      if (batches.bytes > 0) cursor.add(batches, ++this.#fed);
    }
    if (answer.length > 0) this.#options.memory.release(answer[0]!.batches); // all of it lies in one piece
    return this.#fed > before;
  }

  async #outside(cursor: KafkaCursor): Promise<RepulsorError | BrokerError> {
    const { partition, fetched } = cursor;
    const leader = await this.#client.leader(this.topic, partition);
    const earliest = await listOffset(leader, this.topic, partition, EARLIEST);
    const end = await listOffset(leader, this.topic, partition, END);
    if (fetched >= earliest && fetched <= end)
      return new BrokerError(CODE.notLeader, `reading ${this.topic}, partition ${partition}`);
    return outsideError(this.topic, partition, fetched, earliest, end);
  }

  /** What passes is waited for; the rest is kept until the reader asks. */
  async #failed(error: unknown): Promise<void> {
    const verdict = judge(error);
    const passes = verdict === 'again' || verdict === 'disconnected';
    if (passes && performance.now() - this.#lastAnswer < PATIENCE_MS) {
      this.#client.recover(verdict);
      await sleep(100);
      return;
    }
    this.#failure = asRepulsorError(error, `reading ${this.topic}`, this.#client.address.brokers);
  }
}

class KafkaCursor implements PartitionCursor {
  readonly partition: number;
  /** The next offset to ask the broker for. */
  fetched: number;
  /** Number of the answer that last brought something; 0 before the first. */
  fed = 0;
  readonly #reader: KafkaReader;
  readonly #to: number | null;
  readonly #share: number;
  readonly #memory: ReadMemory;
  #queue: CommittedBatches[] = [];
  #records: Iterator<LogRecord> | null = null;
  /** The next offset to hand out, and the end of the batch that is being handed out. */
  #position: number;
  #batchEnd: number;
  #closed = false;

  constructor(
    reader: KafkaReader,
    partition: number,
    offset: number,
    to: number | null,
    share: number,
    memory: ReadMemory,
  ) {
    this.#reader = reader;
    this.partition = partition;
    this.fetched = offset;
    this.#position = offset;
    this.#batchEnd = offset;
    this.#to = to;
    this.#share = share;
    this.#memory = memory;
  }

  /** Bytes that may be asked for now: nothing while half of this partition's share is still full. */
  get room(): number {
    if (this.#closed || (this.#to !== null && this.fetched >= this.#to)) return 0;
    const held = this.#queue.reduce((sum, { bytes }) => sum + bytes, 0);
    return held > this.#share / 2 ? 0 : Math.max(1, Math.min(Math.floor(this.#share / 2), MOST_FETCHED));
  }

  add(batches: CommittedBatches, answer: number): void {
    this.fed = answer;
    this.fetched = batches.end;
    this.#queue.push(batches);
    this.#memory.hold(batches.piece);
  }

  async tryNext(): Promise<LogRecord | 'waiting' | 'done'> {
    this.#reader.demandHealthy();
    for (;;) {
      if (this.#to !== null && this.#position >= this.#to) return 'done';
      const next = this.#records?.next();
      if (next !== undefined && !next.done) {
        if (this.#to !== null && next.value.offset >= this.#to) return 'done';
        this.#position = next.value.offset + 1;
        this.#memory.holdRecord(next.value);
        return next.value;
      }
      this.#records = null;
      this.#position = Math.max(this.#position, this.#batchEnd);
      const batches = this.#queue[0];
      if (batches === undefined) return this.#to !== null && this.#position >= this.#to ? 'done' : 'waiting';
      const batch = await batches.next(this.#position);
      if (batch === null) {
        this.#queue.shift();
        this.#memory.release(batches.piece);
        void this.#reader.fetchMore();
        continue;
      }
      this.#records = batch.records;
      this.#batchEnd = batch.end;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#queue = [];
    this.#records = null;
  }
}
