import { BrokerError, brokerCodeOf, CODE, leaderCode } from './kafka-errors.ts';
import { Encoder, type KafkaBroker, requests } from './kafkajs-internals.ts';
import { wholeAnswer } from './large-answers.ts';

/*
 * The two requests that carry records, with responses read by this project (kafka.apache.org/protocol, Produce v7 and
 * Fetch v11: brokers from 2.4 on).
 *
 * produceResponse = count:i32 (topic count:i32 (partition:i32 code:i16 baseOffset:i64 appendTime:i64 start:i64)*)* ...
 * fetchResponse   = throttle:i32 code:i16 session:i32 count:i32 (topic count:i32 partitionData*)*
 * partitionData   = partition:i32 code:i16 highWatermark:i64 lastStable:i64 start:i64
 *                   count:i32 (producerId:i64 firstOffset:i64)* preferredReplica:i32 bytes:i32 batch*
 * topic           = bytes:i16 UTF-8
 */

const READ_COMMITTED = 1;
const PRODUCE = 0;

export interface ProduceTarget {
  readonly topic: string;
  readonly partition: number;
  readonly transactionalId: string | null;
}

/** Writes one batch to the leader of its partition. Resolves to its base offset. @throws BrokerError */
export function produce(broker: KafkaBroker, target: ProduceTarget, batch: Buffer): Promise<number> {
  const { topic, partition, transactionalId } = target;
  const encode = async (): Promise<unknown> => {
    const data = new Encoder().writeInt32(partition).writeBytes(batch);
    const topicData = new Encoder().writeString(topic).writeArray([data]);
    const allReplicas = -1;
    return new Encoder()
      .writeString(transactionalId)
      .writeInt16(allReplicas)
      .writeInt32(30_000)
      .writeArray([topicData]);
  };
  return broker.connectionPool.send<number>({
    request: { apiKey: PRODUCE, apiVersion: 7, apiName: 'Produce', encode },
    response: {
      decode: async (payload) => payload,
      parse: async (payload: Buffer) => {
        const at = 4 + 2 + payload.readInt16BE(4) + 4 + 4;
        const code = payload.readInt16BE(at);
        if (code !== 0) throw new BrokerError(leaderCode(code), `writing to ${topic}, partition ${partition}`);
        return Number(payload.readBigInt64BE(at + 2));
      },
    },
  });
}

export interface FetchedPartition {
  readonly partition: number;
  readonly code: number;
  readonly lastStable: number;
  /** Ascending by firstOffset. */
  readonly aborted: readonly { readonly producerId: bigint; readonly firstOffset: number }[];
  /** Whole batches, and perhaps a cut one at the end. A view of the response. */
  readonly batches: Buffer;
}

export interface FetchOptions {
  readonly topic: string;
  /** The first one is served first: it gets at least one batch, however large. */
  readonly partitions: readonly { readonly partition: number; readonly offset: number; readonly maxBytes: number }[];
  readonly maxWaitMs: number;
}

/** Asks a leader for committed records. It waits for at least one byte of them, `maxWaitMs` at most. */
export function fetch(
  broker: KafkaBroker,
  { topic, partitions, maxWaitMs }: FetchOptions,
): Promise<FetchedPartition[]> {
  const asked = partitions.map(({ partition, offset, maxBytes }) => ({
    partition,
    fetchOffset: String(offset),
    maxBytes,
  }));
  const protocol = requests.Fetch.protocol({ version: 11 })({
    maxWaitTime: maxWaitMs,
    minBytes: 1,
    maxBytes: partitions.reduce((sum, { maxBytes }) => sum + maxBytes, 0),
    isolationLevel: READ_COMMITTED,
    topics: [{ topic, partitions: asked }],
  });
  return broker.connectionPool.send<FetchedPartition[]>({
    ...protocol,
    response: {
      decode: async (body) => wholeAnswer(body),
      parse: async (payload: Buffer) => readFetchResponse(payload, topic),
    },
  });
}

function readFetchResponse(payload: Buffer, topic: string): FetchedPartition[] {
  const code = payload.readInt16BE(4);
  if (code !== 0) throw new BrokerError(code, `reading ${topic}`);
  const partitions: FetchedPartition[] = [];
  let at = 14;
  for (let topics = payload.readInt32BE(10); topics > 0; topics--) {
    at += 2 + payload.readInt16BE(at);
    const count = payload.readInt32BE(at);
    at += 4;
    for (let index = 0; index < count; index++) {
      const partition = payload.readInt32BE(at);
      const partitionCode = payload.readInt16BE(at + 4);
      const lastStable = Number(payload.readBigInt64BE(at + 14));
      const abortedCount = payload.readInt32BE(at + 30);
      at += 34;
      const aborted: { producerId: bigint; firstOffset: number }[] = [];
      for (let left = abortedCount; left > 0; left--) {
        aborted.push({ producerId: payload.readBigInt64BE(at), firstOffset: Number(payload.readBigInt64BE(at + 8)) });
        at += 16;
      }
      const bytes = Math.max(0, payload.readInt32BE(at + 4));
      at += 8;
      const batches = payload.subarray(at, at + bytes);
      at += bytes;
      aborted.sort((a, b) => a.firstOffset - b.firstOffset);
      partitions.push({ partition, code: leaderCode(partitionCode), lastStable, aborted, batches });
    }
  }
  return partitions;
}

export const EARLIEST = -2;
export const END = -1;

/**
 * The earliest offset, or (END) the last stable one, or the first whose record has this timestamp or a later one, -1 when
 * there is none. @throws BrokerError
 */
export async function listOffset(
  broker: KafkaBroker,
  topic: string,
  partition: number,
  which: number,
): Promise<number> {
  const where = `the offsets of ${topic}, partition ${partition}`;
  const topics = [{ topic, partitions: [{ partition, timestamp: String(which) }] }];
  const { responses } = await broker.listOffsets({ isolationLevel: READ_COMMITTED, topics }).catch((error: unknown) => {
    throw brokerCodeOf(error) === CODE.unknownTopic ? new BrokerError(CODE.notLeader, where) : error;
  });
  const offset = responses[0]?.partitions[0]?.offset;
  if (offset === undefined) throw new BrokerError(CODE.notLeader, where);
  return Number(offset);
}
