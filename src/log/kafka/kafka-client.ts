import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { debuglog } from 'node:util';
import { Kafka, type KafkaConfig, logLevel } from 'kafkajs';
import { RepulsorError } from '../../errors.ts';
import type { KafkaAddress } from '../log-url.ts';
import type { ReadMemory } from '../read-memory.ts';
import { asRepulsorError, BrokerError, CODE, judge, type Verdict } from './kafka-errors.ts';
import { KafkaSockets } from './kafka-sockets.ts';
import { Encoder, internalsOf, type KafkaBroker, type KafkaInternals, requests } from './kafkajs-internals.ts';
import { wholeAnswer } from './large-answers.ts';

/** How long a request is tried again while brokers restart, before it fails. */
const PATIENCE_MS = 60_000;
/** How long the answers under way are waited for when the client is closed. */
const CLOSE_MS = 2_000;
/** How long the first contact is tried. */
const OPEN_PATIENCE_MS = 5_000;

const debug = debuglog('repulsor-kafka');

/** The settings that kafkajs's connections get: TLS, SASL, time limits, a logger. */
export function clientConfig(address: KafkaAddress): KafkaConfig {
  const { ssl, sasl } = address;
  const file = (path: string | null): string | undefined => (path === null ? undefined : readPem(path));
  return {
    brokers: [...address.brokers],
    clientId: address.clientId,
    connectionTimeout: 3_000,
    requestTimeout: 30_000,
    ...(ssl === null ? {} : { ssl: { ca: file(ssl.ca), cert: file(ssl.cert), key: file(ssl.key) } }),
    ...(sasl === null ? {} : { sasl: { ...sasl } as NonNullable<KafkaConfig['sasl']> }),
    // What kafkajs calls an error is mostly one that passes. All of it goes to NODE_DEBUG=repulsor-kafka; what does
    // not pass is thrown.
    logLevel: debug.enabled ? logLevel.DEBUG : logLevel.NOTHING,
    logCreator: () => (entry) => debug('%s %s', entry.namespace, entry.log.message),
  };
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new RepulsorError('CONFIG', `the TLS file ${path} cannot be read: ${(error as Error).message}`, {
      hint: 'Check ssl.ca, ssl.cert and ssl.key, or REPULSOR_KAFKA_SSL_CA, _CERT and _KEY.',
      cause: error,
    });
  }
}

export interface TopicMetadata {
  readonly topicErrorCode: number;
  readonly topic: string;
  readonly isInternal: boolean;
  readonly partitionMetadata: readonly {
    readonly partitionErrorCode: number;
    readonly partitionId: number;
    readonly leader: number;
  }[];
}

interface ClusterMetadata {
  readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
  readonly topicMetadata: readonly TopicMetadata[];
}

const METADATA = 3;
const decodeMetadata = requests.Metadata.protocol({ version: 6 })({ topics: [], allowAutoTopicCreation: false })
  .response.decode;

/** Null: all topics. No topic is made by asking for it. */
function encodeTopicNames(topics: readonly string[] | null): unknown {
  const encoder = new Encoder();
  if (topics === null) encoder.writeInt32(-1);
  else encoder.writeArray(topics.map((topic) => new Encoder().writeString(topic)));
  return encoder.writeInt8(0);
}

export type Coordinator = 'group' | 'transaction';

/** Connections to a cluster: finds leaders and coordinators, and tries again what passes. */
export class KafkaClient {
  readonly address: KafkaAddress;
  readonly #internals: KafkaInternals;
  readonly #sockets: KafkaSockets;
  readonly #connected = new Map<string, Promise<KafkaBroker>>();
  readonly #nodes = new Map<number, { host: string; port: number }>();
  readonly #leaders = new Map<string, number>();
  #closed = false;

  /** `memory`: where answers that bring records come to lie; null: none are to be fetched. */
  constructor(address: KafkaAddress, memory: ReadMemory | null = null) {
    this.address = address;
    this.#sockets = new KafkaSockets(memory);
    this.#internals = internalsOf(new Kafka({ ...clientConfig(address), socketFactory: this.#sockets.factory }));
  }

  /** @throws RepulsorError LOG_UNREACHABLE within some seconds when no broker answers. */
  static async open(address: KafkaAddress): Promise<KafkaClient> {
    const client = new KafkaClient(address);
    await client.trying(`connecting to ${address.url}`, () => client.nodes(), OPEN_PATIENCE_MS);
    return client;
  }

  /** Runs `work`, again and again while it fails in a way that passes. */
  async trying<T>(what: string, work: () => Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
    const begun = performance.now();
    // Short at first: a transaction right behind another one waits for the first one's markers, some milliseconds.
    for (let delay = 5; ; delay = Math.min(delay * 2, 500)) {
      try {
        if (this.#closed)
          throw new RepulsorError('LOG_FAILED', `${what}: the log is closed`, { hint: 'Open it again.' });
        return await work();
      } catch (error) {
        const verdict = judge(error);
        if ((verdict !== 'again' && verdict !== 'disconnected') || performance.now() - begun > patienceMs) {
          throw asRepulsorError(error, what, this.address.brokers);
        }
        debug('%s: %s, again in %d ms', what, (error as Error).message, delay);
        this.recover(verdict);
        await sleep(delay);
      }
    }
  }

  /** The ids of the brokers that serve, as one of them knows. */
  async nodes(): Promise<number[]> {
    return (await this.#metadata([])).brokers.map(({ nodeId }) => nodeId);
  }

  /** All topics, or those named; a topic that is not there comes with its error code. */
  async topics(names: readonly string[] | null): Promise<readonly TopicMetadata[]> {
    return (await this.#metadata(names)).topicMetadata;
  }

  /** The partitions' leaders are known afterwards. @throws BrokerError */
  async topic(name: string): Promise<TopicMetadata> {
    const [topic] = await this.topics([name]);
    if (topic === undefined || topic.topicErrorCode !== 0) {
      throw new BrokerError(topic?.topicErrorCode ?? CODE.unknownTopic, `topic ${name}`);
    }
    for (const { partitionId, leader } of topic.partitionMetadata) {
      if (leader >= 0) this.#leaders.set(`${name}/${partitionId}`, leader);
    }
    return topic;
  }

  async leaderId(topic: string, partition: number): Promise<number> {
    const known = this.#leaders.get(`${topic}/${partition}`);
    if (known !== undefined) return known;
    const { partitionMetadata } = await this.topic(topic);
    const found = partitionMetadata.find(({ partitionId }) => partitionId === partition);
    if (found === undefined) throw new BrokerError(CODE.unknownTopic, `partition ${partition} of topic ${topic}`);
    if (found.leader < 0) throw new BrokerError(CODE.leaderNotAvailable, `partition ${partition} of topic ${topic}`);
    return found.leader;
  }

  /**
   * After an error that passes: leaders are looked up anew, and after a lost connection every connection is made anew.
   * A kafkajs connection that broke must not be used again: its end runs on while a new socket is being opened, and
   * then closes that one, whose requests are never answered.
   */
  recover(verdict: Verdict): void {
    this.#leaders.clear();
    if (verdict !== 'disconnected') return;
    for (const broker of this.#connected.values()) void broker.then((old) => old.disconnect()).catch(() => undefined);
    this.#connected.clear();
  }

  async leader(topic: string, partition: number): Promise<KafkaBroker> {
    return this.node(await this.leaderId(topic, partition));
  }

  async coordinator(id: string, kind: Coordinator): Promise<KafkaBroker> {
    const broker = await this.any();
    const { coordinator } = await broker.findGroupCoordinator({
      groupId: id,
      coordinatorType: kind === 'group' ? 0 : 1,
    });
    return this.#connect(coordinator);
  }

  /** Any broker that answers. */
  async any(): Promise<KafkaBroker> {
    for (const pending of this.#connected.values()) {
      const broker = await pending.catch(() => null);
      if (broker?.isConnected()) return broker;
    }
    let last: unknown;
    for (const address of this.address.brokers) {
      const [host = '', port] = address.split(':');
      try {
        return await this.#connect({ host, port: Number(port) });
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  async node(id: number): Promise<KafkaBroker> {
    if (!this.#nodes.has(id)) await this.#metadata([]);
    const node = this.#nodes.get(id);
    if (node === undefined) throw new BrokerError(CODE.brokerNotAvailable, `broker ${id}`);
    return this.#connect(node);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const connected = [...this.#connected.values()];
    this.#connected.clear();
    const disconnected = connected.map(async (broker) => (await broker).disconnect());
    // kafkajs waits for answers first, for ever where the connection breaks meanwhile; a socket left open would keep the
    // process from ending.
    const late = new AbortController();
    await Promise.race([Promise.allSettled(disconnected), sleep(CLOSE_MS, undefined, { signal: late.signal })]);
    late.abort();
    this.#sockets.destroy();
  }

  async #metadata(topics: readonly string[] | null): Promise<ClusterMetadata> {
    const broker = await this.any();
    const metadata = await broker.connectionPool.send<ClusterMetadata>({
      // kafkajs takes no topics for all topics, and its parser throws when any of them has an error.
      request: { apiKey: METADATA, apiVersion: 6, apiName: 'Metadata', encode: async () => encodeTopicNames(topics) },
      response: {
        decode: (body) => decodeMetadata(wholeAnswer(body)),
        parse: async (decoded: ClusterMetadata) => decoded,
      },
    });
    for (const { nodeId, host, port } of metadata.brokers) this.#nodes.set(nodeId, { host, port });
    return metadata;
  }

  async #connect({ host, port }: { host: string; port: number }): Promise<KafkaBroker> {
    const key = `${host}:${port}`;
    const known = this.#connected.get(key);
    if (known !== undefined) {
      const broker = await known.catch(() => null);
      if (broker?.isConnected()) return broker;
      if (this.#connected.get(key) !== known) return this.#connect({ host, port }); // another caller began anew
      void broker?.disconnect().catch(() => undefined);
    }
    if (this.#closed) throw new RepulsorError('LOG_FAILED', 'the log is closed', { hint: 'Open it again.' });
    const connecting = (async () => {
      const broker = await this.#internals.broker({ host, port });
      try {
        await broker.connect();
      } catch (error) {
        // Refused after the socket was there (SASL): kafkajs leaves it open, and the process would never end.
        void broker.disconnect().catch(() => undefined);
        throw error;
      }
      return broker;
    })();
    this.#connected.set(key, connecting);
    connecting.catch(() => undefined);
    return connecting;
  }
}
