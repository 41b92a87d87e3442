import { createRequire } from 'node:module';
import type { Kafka } from 'kafkajs';

/*
 * What is used of kafkajs beneath its public API, and why: its connections (TLS, SASL, the request queue) and the
 * encodings of requests are good; its consumer has no assignment by hand (it needs a group, and rebalances), hides the
 * last stable offset, and unpacks whole responses; its transactional producer hides its epoch, does not ask again when
 * the answer to a commit is lost, and cannot be used after an error. kafkajs is pinned to one version, which is its
 * last; `internalsOf` checks that what is used is there.
 */

export interface WireRequest {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  encode(): Promise<unknown>;
}

export interface WireProtocol<T> {
  readonly request: WireRequest;
  readonly response: { decode(payload: Buffer): Promise<unknown>; parse(decoded: never): Promise<T> };
  readonly requestTimeout?: number;
  readonly logResponseError?: boolean;
}

export interface TopicPartitions<T> {
  readonly topic: string;
  readonly partitions: readonly T[];
}

interface TransactionIdentity {
  readonly transactionalId: string;
  readonly producerId: string;
  readonly producerEpoch: number;
}

/** A connection to one broker. */
export interface KafkaBroker {
  readonly brokerAddress: string;
  /** By api key, once it is connected. */
  readonly versions: Readonly<Record<number, { readonly maxVersion: number }>> | null;
  readonly connectionPool: { send<T>(protocol: WireProtocol<T>): Promise<T> };
  isConnected(): boolean;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  listOffsets(request: {
    isolationLevel: number;
    topics: TopicPartitions<{ partition: number; timestamp: string }>[];
  }): Promise<{ responses: TopicPartitions<{ partition: number; offset: string | bigint }>[] }>;
  deleteRecords(request: { topics: TopicPartitions<{ partition: number; offset: string }>[] }): Promise<unknown>;
  createTopics(request: { topics: unknown[]; timeout: number }): Promise<unknown>;
  deleteTopics(request: { topics: string[]; timeout: number }): Promise<unknown>;
  deleteGroups(groupIds: string[]): Promise<{ results: { groupId: string; errorCode: number }[] }>;
  describeConfigs(request: {
    resources: { type: number; name: string; configNames: string[] }[];
  }): Promise<{ resources: { configEntries: { configName: string; configValue: string | null }[] }[] }>;
  findGroupCoordinator(request: {
    groupId: string;
    coordinatorType: number;
  }): Promise<{ coordinator: { nodeId: number; host: string; port: number } }>;
  initProducerId(request: {
    transactionalId: string | undefined;
    transactionTimeout: number;
  }): Promise<{ producerId: string; producerEpoch: number }>;
  addPartitionsToTxn(request: TransactionIdentity & { topics: TopicPartitions<number>[] }): Promise<unknown>;
  addOffsetsToTxn(request: TransactionIdentity & { groupId: string }): Promise<unknown>;
  txnOffsetCommit(
    request: TransactionIdentity & {
      groupId: string;
      topics: TopicPartitions<{ partition: number; offset: string; metadata: string | null }>[];
    },
  ): Promise<unknown>;
  endTxn(request: TransactionIdentity & { transactionResult: boolean }): Promise<unknown>;
}

export interface KafkaInternals {
  /** A broker that is not connected yet: at the address, or the next one of the list when none is given. */
  broker(address?: { host: string; port: number }): Promise<KafkaBroker>;
}

interface ClusterInternals {
  readonly rootLogger: unknown;
  readonly connectionPoolBuilder: { build(address?: { host: string; port: number }): Promise<unknown> };
  readonly brokerPool: { createBroker(options: { connectionPool: unknown; logger: unknown }): KafkaBroker };
}

export function internalsOf(kafka: Kafka): KafkaInternals {
  const symbol = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  );
  const create = symbol === undefined ? undefined : (kafka as unknown as Record<symbol, unknown>)[symbol];
  if (typeof create !== 'function')
    throw new TypeError('this version of kafkajs is not the one that src/log/kafka was written for');
  const cluster = create({ allowAutoTopicCreation: false }) as ClusterInternals;
  return {
    async broker(address) {
      const connectionPool = await cluster.connectionPoolBuilder.build(address);
      return cluster.brokerPool.createBroker({ connectionPool, logger: cluster.rootLogger });
    },
  };
}

interface EncoderInternals {
  writeInt8(value: number): EncoderInternals;
  writeInt16(value: number): EncoderInternals;
  writeInt32(value: number): EncoderInternals;
  writeString(value: string | null): EncoderInternals;
  writeArray(items: readonly EncoderInternals[]): EncoderInternals;
  writeBytes(value: Buffer): EncoderInternals;
  writeUVarInt(value: number): EncoderInternals;
  writeUVarIntString(value: string): EncoderInternals;
}

const require = createRequire(import.meta.url);

export const Encoder = require('kafkajs/src/protocol/encoder') as new () => EncoderInternals;

type ProtocolOf<Options> = { protocol(choice: { version: number }): (options: Options) => WireProtocol<never> };

/** Requests whose responses are read by this project's own code. */
export const requests = require('kafkajs/src/protocol/requests').requests as {
  readonly Metadata: ProtocolOf<{ topics: readonly string[]; allowAutoTopicCreation: boolean }>;
  readonly Fetch: ProtocolOf<{
    maxWaitTime: number;
    minBytes: number;
    maxBytes: number;
    isolationLevel: number;
    topics: TopicPartitions<{ partition: number; fetchOffset: string; maxBytes: number }>[];
  }>;
};
