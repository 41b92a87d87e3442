import { RepulsorError } from '../../errors.ts';
import type { NewRecord } from '../log.ts';
import type { KafkaClient } from './kafka-client.ts';
import { BATCH_OVERHEAD, encodeBatch, recordBytesAtMost } from './record-batch.ts';
import { produce } from './wire.ts';

export interface ProducerIdentity {
  readonly producerId: string;
  readonly producerEpoch: number;
}

/** Records sent in one request, unless the topic takes less or a single record is larger. */
const BATCH_BYTES = 1024 * 1024;
const MAX_MESSAGE_BYTES = 1_048_588; // Kafka's default for max.message.bytes

/**
 * Writes batches under one producer id: numbered per partition, so that the broker drops the repetition of a request
 * whose answer was lost (idempotence). One batch of a partition is on its way at a time.
 */
export class KafkaProducer {
  readonly identity: ProducerIdentity;
  readonly #client: KafkaClient;
  readonly #transactionalId: string | null;
  readonly #sequences = new Map<string, number>();
  readonly #limits: TopicLimits;

  constructor(client: KafkaClient, identity: ProducerIdentity, transactionalId: string | null, limits: TopicLimits) {
    this.#client = client;
    this.identity = identity;
    this.#transactionalId = transactionalId;
    this.#limits = limits;
  }

  /** Appends in order. Resolves to the offset of each record. @throws RepulsorError BAD_RECORD, FENCED, ... */
  async append(topic: string, partition: number, records: readonly NewRecord[], now: number): Promise<number[]> {
    const limit = await this.#limits.of(topic);
    const offsets: number[] = [];
    for (const chunk of chunks(records, limit, topic)) {
      const base = await this.#send(topic, partition, chunk, now);
      for (let index = 0; index < chunk.length; index++) offsets.push(base + index);
    }
    return offsets;
  }

  async #send(topic: string, partition: number, records: readonly NewRecord[], now: number): Promise<number> {
    const key = `${topic}/${partition}`;
    const baseSequence = this.#sequences.get(key) ?? 0;
    const batch = encodeBatch(records, now, {
      producerId: BigInt(this.identity.producerId),
      producerEpoch: this.identity.producerEpoch,
      baseSequence,
      transactional: this.#transactionalId !== null,
    });
    const base = await this.#client.trying(`writing to ${topic}, partition ${partition}`, async () => {
      const leader = await this.#client.leader(topic, partition);
      return produce(leader, { topic, partition, transactionalId: this.#transactionalId }, batch);
    });
    this.#sequences.set(key, (baseSequence + records.length) % 0x80000000); // wraps to 0 behind 2^31 - 1
    return base;
  }
}

/** The records in runs that fit into a batch. @throws RepulsorError BAD_RECORD when a single one does not */
function* chunks(records: readonly NewRecord[], limit: number, topic: string): Generator<readonly NewRecord[]> {
  const most = Math.min(limit, BATCH_BYTES);
  let first = 0;
  let bytes = BATCH_OVERHEAD;
  for (const [index, record] of records.entries()) {
    const size = recordBytesAtMost(record);
    if (BATCH_OVERHEAD + size > limit) {
      throw new RepulsorError(
        'BAD_RECORD',
        `record ${index} to append to ${topic} takes ${size} bytes; the topic takes ${limit} at most`,
        {
          hint: "Raise the topic's max.message.bytes, or put fewer images into a record.",
        },
      );
    }
    if (index > first && bytes + size > most) {
      yield records.slice(first, index);
      first = index;
      bytes = BATCH_OVERHEAD;
    }
    bytes += size;
  }
  if (first < records.length) yield records.slice(first);
}

/** How large a batch each topic takes. */
export class TopicLimits {
  readonly #client: KafkaClient;
  readonly #limits = new Map<string, number>();

  constructor(client: KafkaClient) {
    this.#client = client;
  }

  async of(topic: string): Promise<number> {
    const known = this.#limits.get(topic);
    if (known !== undefined) return known;
    const limit = await this.#describe(topic);
    this.#limits.set(topic, limit);
    return limit;
  }

  async #describe(topic: string): Promise<number> {
    const TOPIC = 2;
    const resources = [{ type: TOPIC, name: topic, configNames: ['max.message.bytes'] }];
    try {
      const { resources: described } = await (await this.#client.any()).describeConfigs({ resources });
      const value = Number(described[0]?.configEntries[0]?.configValue);
      return value > 0 ? value : MAX_MESSAGE_BYTES;
    } catch {
      return MAX_MESSAGE_BYTES; // describing needs a permission that writing does not; the broker checks anyway
    }
  }
}
