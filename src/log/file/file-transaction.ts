import { randomUUID } from 'node:crypto';
import { RepulsorError } from '../../errors.ts';
import { ownIdentity } from '../../files/process-identity.ts';
import { appendByPartition } from '../append-by-partition.ts';
import type { Appended, FencedWriter, LogRecord, NewRecord, Transaction } from '../log.ts';
import type { GroupOffsets, Span } from './chain.ts';
import type { Committed } from './committed.ts';
import type { EpochPartition } from './epoch-partition.ts';
import { asLogError } from './file-errors.ts';

/** What a writer needs to know of the log it writes to. */
export interface TransactionTarget {
  /** Makes sure that `topic` is this id's to write, then the end of its partition. @throws RepulsorError TOPIC_MISSING, CONFIG */
  openPartition(topic: string, partition: number, id: string, epoch: number): Promise<EpochPartition>;
}

/** Claims the next epoch of the id (chain.ts says why that fences). */
export async function takeOverFile(id: string, committed: Committed, target: TransactionTarget): Promise<FileWriter> {
  const writer = await ownIdentity();
  for (;;) {
    await committed.refresh();
    const { slot } = committed;
    await committed.chain.checkNoGap(slot);
    const epoch = committed.epoch + 1;
    if (await committed.chain.put(slot, { kind: 'claim', epoch, writer, time: Date.now() })) {
      await committed.refresh();
      return new FileWriter(id, epoch, slot + 1, committed, target);
    }
  }
}

export class FileWriter implements FencedWriter {
  readonly epoch: number;
  readonly id: string;
  readonly #committed: Committed;
  readonly #target: TransactionTarget;
  readonly #partitions = new Map<string, Promise<EpochPartition>>();
  /** The slot behind the last entry that this writer wrote: the only one it may ever write to. */
  #slot: number;
  #open: FileTransaction | null = null;
  /** Why nothing can be written any more. */
  #ended: RepulsorError | null = null;

  constructor(id: string, epoch: number, slot: number, committed: Committed, target: TransactionTarget) {
    this.id = id;
    this.epoch = epoch;
    this.#slot = slot;
    this.#committed = committed;
    this.#target = target;
  }

  async begin(): Promise<FileTransaction> {
    this.demandUsable();
    if (this.#open !== null) {
      throw new RepulsorError('LOG_FAILED', `a transaction of ${this.id} is open already`, {
        hint: 'Commit or abort it first: an id has one transaction at a time.',
      });
    }
    await this.#committed.chain.merge(this.#slot);
    await this.#committed.refresh();
    if (this.#committed.slot !== this.#slot) throw this.#fence();
    this.#open = new FileTransaction(this);
    return this.#open;
  }

  demandUsable(): void {
    if (this.#ended !== null) throw this.#ended;
  }

  partition(topic: string, partition: number): Promise<EpochPartition> {
    const key = `${topic}/${partition}`;
    let opened = this.#partitions.get(key);
    if (opened === undefined) {
      opened = this.#target.openPartition(topic, partition, this.id, this.epoch);
      this.#partitions.set(key, opened);
      opened.catch(() => this.#partitions.delete(key));
    }
    return opened;
  }

  /** Commits what the partitions hold. */
  async commit(touched: ReadonlySet<EpochPartition>, groups: readonly GroupOffsets[]): Promise<void> {
    this.demandUsable();
    try {
      const spans: Span[] = (await Promise.all([...touched].map((partition) => partition.sync()))).flat();
      const { epoch } = this;
      const commit = { kind: 'commit', epoch, nonce: randomUUID(), time: Date.now(), spans, groups } as const;
      if (!(await this.#committed.chain.put(this.#slot, commit))) throw this.#fence();
    } catch (error) {
      // Written or not, durable or not: only the chain knows. A new takeover reads it.
      this.#ended ??= new RepulsorError('LOG_FAILED', `a commit of ${this.id} failed, and its outcome is not known`, {
        hint: 'Take the id over again and read what is committed.',
        cause: error,
      });
      throw error;
    }
    this.#slot += 1;
  }

  /** A successor removes what a fenced writer left unnamed, also from under its hands: then that is the reason. */
  async whyFailed(error: unknown): Promise<unknown> {
    await this.#committed.refresh().catch(() => undefined);
    return this.#committed.slot === this.#slot ? error : this.#fence();
  }

  async finish(touched: ReadonlySet<EpochPartition>): Promise<void> {
    this.#open = null;
    await Promise.all([...touched].map((partition) => partition.end()));
  }

  async close(): Promise<void> {
    this.#ended ??= new RepulsorError('LOG_FAILED', `the writer of ${this.id} is closed`, {
      hint: 'Take the id over again.',
    });
    const opened = await Promise.allSettled(this.#partitions.values());
    this.#partitions.clear();
    for (const result of opened) if (result.status === 'fulfilled') await result.value.close();
  }

  #fence(): RepulsorError {
    this.#ended = new RepulsorError('FENCED', `epoch ${this.epoch} of ${this.id} was taken over by another writer`, {
      hint: 'Another process works on this run now. Stop this one; it has changed nothing since.',
    });
    return this.#ended;
  }
}

export class FileTransaction implements Transaction {
  readonly #writer: FileWriter;
  readonly #touched = new Set<EpochPartition>();
  readonly #groups: GroupOffsets[] = [];
  #last: Promise<unknown> = Promise.resolve();
  #over = false;
  /** A transaction that could not take all that it was given must not commit the rest. */
  #failed: unknown = null;

  constructor(writer: FileWriter) {
    this.#writer = writer;
  }

  append(topic: string, records: readonly NewRecord[]): Promise<Appended> {
    return this.#inOrder(async () => {
      const now = Date.now();
      return appendByPartition(records, async (partition, part) => {
        try {
          const target = await this.#writer.partition(topic, partition);
          this.#touched.add(target);
          return await target.append(part, now);
        } catch (error) {
          throw await this.#writer.whyFailed(error);
        }
      });
    });
  }

  /** Appends to one partition at the records' own offsets, and lets it end at `end`. */
  appendExactly(topic: string, partition: number, records: readonly LogRecord[], end: number): Promise<void> {
    return this.#inOrder(async () => {
      const target = await this.#writer.partition(topic, partition);
      this.#touched.add(target);
      for (let first = 0, last = 1; first < records.length; first = last++) {
        while (last < records.length && records[last]!.offset === records[last - 1]!.offset + 1) last++;
        target.skipTo(records[first]!.offset);
        await target.append(records.slice(first, last), 0);
      }
      target.skipTo(end);
    });
  }

  sendOffsets(group: string, topic: string, next: ReadonlyMap<number, number>): Promise<void> {
    return this.#inOrder(async () => {
      this.#groups.push({ group, topic, next: [...next] });
    });
  }

  commit(): Promise<void> {
    return this.#inOrder(async () => {
      this.#over = true;
      try {
        if (this.#failed !== null) throw this.#failed;
        await this.#writer.commit(this.#touched, this.#groups);
      } finally {
        await this.#writer.finish(this.#touched);
      }
    });
  }

  abort(): Promise<void> {
    return this.#inOrder(async () => {
      this.#over = true;
      await this.#writer.finish(this.#touched);
    });
  }

  /** One after the other, in the order of the calls; an append that was not awaited is in the commit behind it. */
  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(() => {
      this.#writer.demandUsable();
      if (!this.#over) return asLogError(`writing in a transaction of ${this.#writer.id}`, work);
      throw new RepulsorError('LOG_FAILED', `this transaction of ${this.#writer.id} is over`, {
        hint: 'Begin another one: a transaction is used once.',
      });
    });
    this.#last = run.catch((error: unknown) => {
      this.#failed ??= error;
    });
    return run;
  }
}
