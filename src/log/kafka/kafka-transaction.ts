import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode, RepulsorError } from '../../errors.ts';
import { appendByPartition } from '../append-by-partition.ts';
import type { Appended, FencedWriter, NewRecord, Transaction } from '../log.ts';
import type { KafkaClient } from './kafka-client.ts';
import { BrokerError, brokerCodeOf, CODE } from './kafka-errors.ts';
import { KafkaProducer, type ProducerIdentity, type TopicLimits } from './kafka-producer.ts';

/** The broker aborts a transaction that is open for longer: a dead writer's holds up readers no longer than this. */
const TRANSACTION_TIMEOUT_MS = 60_000;
const CLOSE_MS = 3_000;

/** Takes the id over: the broker raises its epoch, and ends the open transaction of the writer before. */
export async function takeOverKafka(id: string, client: KafkaClient, limits: TopicLimits): Promise<KafkaWriter> {
  const identity = await client.trying(`taking over ${id}`, async () => {
    const coordinator = await client.coordinator(id, 'transaction');
    return coordinator.initProducerId({ transactionalId: id, transactionTimeout: TRANSACTION_TIMEOUT_MS });
  });
  return new KafkaWriter(id, client, identity, limits);
}

export class KafkaWriter implements FencedWriter {
  readonly id: string;
  readonly epoch: number;
  readonly producer: KafkaProducer;
  readonly #client: KafkaClient;
  readonly #identity: ProducerIdentity;
  #open: KafkaTransaction | null = null;
  /** Why nothing can be written any more. */
  #ended: RepulsorError | null = null;

  constructor(id: string, client: KafkaClient, identity: ProducerIdentity, limits: TopicLimits) {
    this.id = id;
    this.#client = client;
    this.#identity = identity;
    this.epoch = Number(BigInt(identity.producerId) * 32768n + BigInt(identity.producerEpoch));
    this.producer = new KafkaProducer(client, identity, id, limits);
  }

  async begin(): Promise<Transaction> {
    this.demandUsable();
    if (this.#open !== null) {
      throw new RepulsorError('LOG_FAILED', `a transaction of ${this.id} is open already`, {
        hint: 'Commit or abort it first: an id has one transaction at a time.',
      });
    }
    this.#open = new KafkaTransaction(this);
    return this.#open;
  }

  demandUsable(): void {
    if (this.#ended !== null) throw this.#ended;
  }

  /** Runs a step of a transaction. Fenced once, the writer stays so. */
  async step<T>(work: () => Promise<T>): Promise<T> {
    this.demandUsable();
    try {
      return await work();
    } catch (error) {
      if (hasCode(error, 'FENCED')) this.#ended = error;
      throw error;
    }
  }

  addPartitions(topic: string, partitions: readonly number[]): Promise<unknown> {
    return this.#ask(`adding ${topic} to a transaction of ${this.id}`, async (broker, transaction) => {
      for (const partition of partitions) await this.#client.leaderId(topic, partition); // it is there
      await broker.addPartitionsToTxn({ ...transaction, topics: [{ topic, partitions }] }).catch((error: unknown) => {
        throw brokerCodeOf(error) === CODE.unknownTopic ? new BrokerError(CODE.notLeader, `topic ${topic}`) : error;
      });
    });
  }

  async sendOffsets(group: string, topic: string, next: ReadonlyMap<number, number>): Promise<void> {
    const what = `sending the offsets of group ${group} in a transaction of ${this.id}`;
    await this.#ask(what, (broker, transaction) => broker.addOffsetsToTxn({ ...transaction, groupId: group }));
    const partitions = [...next].map(([partition, offset]) => ({ partition, offset: String(offset), metadata: null }));
    await this.#client.trying(what, async () => {
      const broker = await this.#client.coordinator(group, 'group');
      return broker.txnOffsetCommit({ ...this.#transaction, groupId: group, topics: [{ topic, partitions }] });
    });
  }

  /**
   * Ends the transaction. The broker answers once the outcome is on its disk; markers, which let readers see the
   * records, follow. Asked again it says "concurrent transactions" until they are written: so this asks twice, and
   * what is committed can be read when it resolves. Being fenced at the second time does not matter any more.
   */
  async end(commit: boolean): Promise<void> {
    const what = `${commit ? 'committing' : 'aborting'} a transaction of ${this.id}`;
    const ask = (): Promise<unknown> =>
      this.#ask(what, (broker, transaction) => broker.endTxn({ ...transaction, transactionResult: commit }));
    try {
      await ask();
    } catch (error) {
      // What the broker did is not known; nothing may be begun on top of it.
      this.#ended ??= new RepulsorError('LOG_FAILED', `${what} failed, and its outcome is not known`, {
        hint: 'Take the id over again and read what is committed.',
        cause: error,
      });
      throw error;
    }
    await ask().catch(() => undefined);
  }

  finish(): void {
    this.#open = null;
  }

  /** Aborts an open transaction, which would hold up readers until its timeout; does not wait long for that. */
  async close(): Promise<void> {
    const aborted = this.#open?.abort().catch(() => undefined);
    if (aborted !== undefined) await Promise.race([aborted, sleep(CLOSE_MS, undefined, { ref: false })]);
    this.#ended ??= new RepulsorError('LOG_FAILED', `the writer of ${this.id} is closed`, {
      hint: 'Take the id over again.',
    });
  }

  get #transaction(): ProducerIdentity & { transactionalId: string } {
    return { transactionalId: this.id, ...this.#identity };
  }

  #ask<T>(
    what: string,
    work: (broker: Coordinator, transaction: ProducerIdentity & { transactionalId: string }) => Promise<T>,
  ): Promise<T> {
    return this.#client.trying(what, async () =>
      work(await this.#client.coordinator(this.id, 'transaction'), this.#transaction),
    );
  }
}

type Coordinator = Awaited<ReturnType<KafkaClient['coordinator']>>;

class KafkaTransaction implements Transaction {
  readonly #writer: KafkaWriter;
  readonly #partitions = new Set<string>();
  #touched = false;
  #over = false;
  #last: Promise<unknown> = Promise.resolve();
  /** A transaction that could not take all that it was given must not commit the rest. */
  #failed: unknown = null;

  constructor(writer: KafkaWriter) {
    this.#writer = writer;
  }

  append(topic: string, records: readonly NewRecord[]): Promise<Appended> {
    return this.#inOrder(async () => {
      const now = Date.now();
      const added = [...new Set(records.map(({ partition = 0 }) => partition))].filter(
        (partition) => !this.#partitions.has(`${topic}/${partition}`),
      );
      if (added.length > 0) {
        this.#touched = true;
        await this.#writer.addPartitions(topic, added);
        for (const partition of added) this.#partitions.add(`${topic}/${partition}`);
      }
      return appendByPartition(records, (partition, part) => this.#writer.producer.append(topic, partition, part, now));
    });
  }

  sendOffsets(group: string, topic: string, next: ReadonlyMap<number, number>): Promise<void> {
    return this.#inOrder(async () => {
      this.#touched = true;
      await this.#writer.sendOffsets(group, topic, next);
    });
  }

  commit(): Promise<void> {
    return this.#inOrder(async () => {
      this.#over = true;
      try {
        if (this.#failed !== null) {
          await this.#end(false);
          throw this.#failed;
        }
        await this.#end(true);
      } finally {
        this.#writer.finish();
      }
    });
  }

  abort(): Promise<void> {
    return this.#inOrder(async () => {
      this.#over = true;
      try {
        await this.#end(false);
      } finally {
        this.#writer.finish();
      }
    });
  }

  /** A transaction that nothing was put into is not known to the broker. */
  async #end(commit: boolean): Promise<void> {
    if (this.#touched) await this.#writer.end(commit);
  }

  /** One after the other, in the order of the calls. */
  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(() =>
      this.#writer.step(async () => {
        if (!this.#over) return work();
        throw new RepulsorError('LOG_FAILED', `this transaction of ${this.#writer.id} is over`, {
          hint: 'Begin another one: a transaction is used once.',
        });
      }),
    );
    this.#last = run.catch((error: unknown) => {
      this.#failed ??= error;
    });
    return run;
  }
}
