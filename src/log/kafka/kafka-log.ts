import { appendByPartition } from '../append-by-partition.ts';
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
import type { KafkaAddress } from '../log-url.ts';
import { outsideError } from '../offset-errors.ts';
import { ReadMemory } from '../read-memory.ts';
import { readRange } from '../read-range.ts';
import { inTurns } from '../turns.ts';
import { KafkaClient } from './kafka-client.ts';
import { asRepulsorError, BrokerError, brokerCodeOf, CODE } from './kafka-errors.ts';
import { KafkaExactWriter } from './kafka-exact-writer.ts';
import { KafkaProducer, TopicLimits } from './kafka-producer.ts';
import { KafkaReader } from './kafka-reader.ts';
import { type KafkaWriter, takeOverKafka } from './kafka-transaction.ts';
import { newTopicOf } from './new-topic.ts';
import { topicIdOf } from './topic-id.ts';
import { storedBytesOf, topicKeepingOf } from './topic-keeping.ts';
import { EARLIEST, END, listOffset } from './wire.ts';

const CREATE_TIMEOUT_MS = 10_000;

/** A Kafka cluster as a log. */
export class KafkaLog implements Log, CopyTarget {
  readonly url: string;
  readonly #client: KafkaClient;
  readonly #limits: TopicLimits;
  /** Clients of the reads that are under way. */
  readonly #readers = new Set<KafkaClient>();
  readonly #writers = new Set<FencedWriter>();
  #producer: Promise<KafkaProducer> | null = null;
  readonly #appending = new Map<string, Promise<unknown>>();

  private constructor(client: KafkaClient) {
    this.#client = client;
    this.url = client.address.url;
    this.#limits = new TopicLimits(client);
  }

  /** @throws RepulsorError LOG_UNREACHABLE within some seconds when no broker answers, CONFIG when a TLS file is missing */
  static async open(address: KafkaAddress): Promise<KafkaLog> {
    return new KafkaLog(await KafkaClient.open(address));
  }

  async topics(): Promise<string[]> {
    const topics = await this.#client.trying('listing topics', () => this.#client.topics(null));
    return topics
      .filter(({ isInternal }) => !isInternal)
      .map(({ topic }) => topic)
      .sort();
  }

  /** Resolves when every partition has a leader. */
  async createTopic(topic: string, settings: TopicSettings = {}): Promise<void> {
    await this.#client.trying(`creating topic ${topic}`, async () => {
      const created = newTopicOf(topic, settings, (await this.#client.nodes()).length);
      const broker = await this.#client.any();
      try {
        await broker.createTopics({ topics: [created], timeout: CREATE_TIMEOUT_MS });
      } catch (error) {
        if (brokerCodeOf(error) !== CODE.topicExists) throw error;
      }
      const { partitionMetadata } = await this.#client.topic(topic).catch((error: unknown) => {
        // The broker that was asked may not have heard of it yet.
        throw brokerCodeOf(error) === CODE.unknownTopic
          ? new BrokerError(CODE.leaderNotAvailable, `topic ${topic}`)
          : error;
      });
      if (partitionMetadata.some(({ leader }) => leader < 0))
        throw new BrokerError(CODE.leaderNotAvailable, `topic ${topic}`);
    });
  }

  async partitions(topic: string): Promise<number[]> {
    const { partitionMetadata } = await this.#client.trying(`looking up topic ${topic}`, () =>
      this.#client.topic(topic),
    );
    return partitionMetadata.map(({ partitionId }) => partitionId).sort((a, b) => a - b);
  }

  topicId(topic: string): Promise<string | null> {
    return this.#client.trying(`looking up topic ${topic}`, async () => topicIdOf(await this.#client.any(), topic));
  }

  keeping(topic: string): Promise<TopicKeeping> {
    return this.#client.trying(`describing topic ${topic}`, async () => {
      await this.#client.topic(topic);
      return topicKeepingOf(await this.#client.any(), topic);
    });
  }

  async storedBytes(topic: string, partition: number): Promise<number | null> {
    try {
      return await storedBytesOf(await this.#client.leader(topic, partition), topic, partition);
    } catch (error) {
      if (brokerCodeOf(error) === null)
        throw asRepulsorError(error, `sizing topic ${topic}`, this.#client.address.brokers);
      return null; // asking needs a permission that reading does not
    }
  }

  offsets(topic: string, partition: number): Promise<OffsetRange> {
    return this.#client.trying(`reading the offsets of ${topic}, partition ${partition}`, async () => {
      const leader = await this.#client.leader(topic, partition);
      const end = await listOffset(leader, topic, partition, END);
      return { earliest: await listOffset(leader, topic, partition, EARLIEST), end };
    });
  }

  async offsetAt(topic: string, partition: number, timestamp: number): Promise<number> {
    const what = `looking for a time in ${topic}, partition ${partition}`;
    const { first, end } = await this.#client.trying(what, async () => {
      const leader = await this.#client.leader(topic, partition);
      const last = await listOffset(leader, topic, partition, END);
      return { first: await listOffset(leader, topic, partition, timestamp), end: last };
    });
    if (first < 0 || first >= end) return end;
    // The broker counts aborted records and markers too, which no reader sees: the first of the others is looked for.
    for await (const record of readRange(this, topic, partition, first, end))
      if (record.timestamp >= timestamp) return record.offset;
    return end;
  }

  async *read(topic: string, options: ReadOptions): AsyncGenerator<LogRecord> {
    const { from, to, turn, signal, maxBufferedBytes = 16 * 1024 * 1024, memory = new ReadMemory() } = options;
    const check = async ([partition, offset]: readonly [number, number]): Promise<void> => {
      const { earliest, end } = await this.offsets(topic, partition);
      if (offset < earliest || offset > end) throw outsideError(topic, partition, offset, earliest, end);
    };
    await Promise.all([...from].map(check));
    const client = new KafkaClient(this.#client.address, memory);
    this.#readers.add(client);
    try {
      const reader = new KafkaReader(client, { topic, from, to, maxBufferedBytes, memory, signal });
      yield* inTurns(reader.cursors, { bounded: to !== undefined, turn, signal, wait: () => reader.wait() });
    } finally {
      this.#readers.delete(client);
      void client.close(); // not awaited: a fetch that waits at the broker ends on its own
    }
  }

  async append(topic: string, records: readonly NewRecord[]): Promise<Appended> {
    const before = this.#appending.get(topic) ?? Promise.resolve();
    const run = before.then(() => this.#appendNow(topic, records));
    const settled = run.catch(() => undefined);
    this.#appending.set(topic, settled);
    return run;
  }

  async #appendNow(topic: string, records: readonly NewRecord[]): Promise<Appended> {
    const now = Date.now();
    this.#producer ??= this.#newProducer();
    const pending = this.#producer;
    try {
      const producer = await pending;
      return await appendByPartition(records, (partition, part) => producer.append(topic, partition, part, now));
    } catch (error) {
      // The broker's count of this producer's batches may differ from ours now: the next append begins a new count.
      if (this.#producer === pending) this.#producer = null;
      throw error;
    }
  }

  async #newProducer(): Promise<KafkaProducer> {
    const identity = await this.#client.trying('asking for a producer id', async () => {
      const broker = await this.#client.any();
      return broker.initProducerId({ transactionalId: undefined, transactionTimeout: 60_000 });
    });
    return new KafkaProducer(this.#client, identity, null, this.#limits);
  }

  async exactWriter(topic: string, writerId: string): Promise<ExactWriter> {
    const ends = new Map<number, number>();
    for (const partition of await this.partitions(topic))
      ends.set(partition, (await this.offsets(topic, partition)).end);
    // Another id than that of a trainer, which goes on writing here by its own.
    return new KafkaExactWriter({
      topic,
      client: this.#client,
      ends,
      producer: await this.#newProducer(),
      takeOver: () => this.takeOver(`copy-of-${topic}-for-${writerId}`),
      endOf: async (partition) => (await this.offsets(topic, partition)).end,
    });
  }

  async takeOver(transactionalId: string): Promise<KafkaWriter> {
    const writer = await takeOverKafka(transactionalId, this.#client, this.#limits);
    this.#writers.add(writer);
    return writer;
  }

  async close(): Promise<void> {
    for (const writer of this.#writers) await writer.close();
    await Promise.all(this.#appending.values());
    await Promise.all([this.#client, ...this.#readers].map((client) => client.close()));
  }
}
