import { lockWriter, type WriterLock } from '../../files/writer-lock.ts';
import { appendByPartition } from '../append-by-partition.ts';
import type { Appended, NewRecord } from '../log.ts';
import { partitionFolder, topicFolder } from './layout.ts';
import { PlainPartition } from './plain-partition.ts';
import { claimTopic, demandPartition, loadTopic, type StoredTopic } from './topic-settings.ts';

/** The writer of a topic by plain appends: holds its lock from the first append until it is closed. */
export class PlainWriter {
  readonly #root: string;
  readonly #topic: string;
  readonly #segmentBytes: number;
  readonly #stored: StoredTopic;
  readonly #lock: WriterLock;
  readonly #partitions = new Map<number, PlainPartition>();
  #last: Promise<unknown> = Promise.resolve();

  private constructor(root: string, topic: string, segmentBytes: number, stored: StoredTopic, lock: WriterLock) {
    this.#root = root;
    this.#topic = topic;
    this.#segmentBytes = segmentBytes;
    this.#stored = stored;
    this.#lock = lock;
  }

  /** @throws RepulsorError LOG_LOCKED, TOPIC_MISSING, CONFIG */
  static async open(root: string, topic: string, segmentBytes: number): Promise<PlainWriter> {
    const stored = await loadTopic(root, topic);
    await claimTopic(root, topic, { by: 'append' });
    const lock = await lockWriter(topicFolder(root, topic), `topic ${topic}`);
    return new PlainWriter(root, topic, segmentBytes, stored, lock);
  }

  /** One append after the other, in the order of the calls. */
  append(records: readonly NewRecord[]): Promise<Appended> {
    const run = this.#last.then(() => {
      for (const { partition = 0 } of records) demandPartition(this.#topic, this.#stored, partition);
      const now = Date.now();
      return appendByPartition(records, (partition, part) => this.#appendTo(partition, part, now));
    });
    this.#last = run.catch(() => undefined);
    return run;
  }

  async #appendTo(partition: number, records: readonly NewRecord[], now: number): Promise<number[]> {
    let target = this.#partitions.get(partition);
    if (target === undefined || target.full) target = await this.#open(partition, target);
    try {
      return await target.append(records, now);
    } catch (error) {
      this.#partitions.delete(partition);
      await target.abandon();
      throw error;
    }
  }

  async #open(partition: number, full: PlainPartition | undefined): Promise<PlainPartition> {
    this.#partitions.delete(partition);
    const folder = partitionFolder(this.#root, this.#topic, partition);
    const options = { folder, segmentBytes: this.#segmentBytes, retentionMs: this.#stored.retentionMs };
    let target = full === undefined ? await PlainPartition.open(options) : await full.roll();
    if (target.full) target = await target.roll();
    this.#partitions.set(partition, target);
    return target;
  }

  async close(): Promise<void> {
    await this.#last;
    for (const partition of this.#partitions.values()) await partition.close();
    this.#partitions.clear();
    await this.#lock.release();
  }
}
