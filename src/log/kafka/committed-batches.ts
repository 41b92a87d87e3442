import type { LogRecord } from '../log.ts';
import { type BatchHeader, readBatch, readBatchHeader } from './record-batch.ts';
import type { FetchedPartition } from './wire.ts';

/** A response of so many partitions, about as full, is kept as it came: a copy takes longer than all else that is done with it. */
const LARGEST_SHARE = 4;

/**
 * The committed records of what one fetch brought of one partition, unpacked batch by batch as they are asked for.
 * Which batches are of aborted transactions the broker says for each fetch: a producer's batches do not count from the
 * first offset of its aborted transaction on until its abort marker (KIP-98; the Java client's CompletedFetch).
 */
export class CommittedBatches {
  /** One past the last whole batch. */
  readonly end: number;
  readonly bytes: number;
  /** What they lie in. */
  readonly piece: Buffer;
  readonly #topic: string;
  readonly #partition: number;
  readonly #abortedLeft: { readonly producerId: bigint; readonly firstOffset: number }[];
  readonly #aborting = new Set<bigint>();
  #at = 0;

  constructor(topic: string, fetched: FetchedPartition, from: number) {
    this.#topic = topic;
    this.#partition = fetched.partition;
    this.#abortedLeft = [...fetched.aborted];
    let end = from;
    let bytes = 0;
    for (let header = readBatchHeader(fetched.batches, 0); header !== null; ) {
      end = Math.max(end, header.lastOffset + 1);
      bytes += header.bytes;
      header = readBatchHeader(fetched.batches, bytes);
    }
    this.end = end;
    this.bytes = bytes;
    // A copy of what is little of the response: one partition read slowly must not keep the bytes of many others alive.
    const whole = fetched.batches.subarray(0, bytes);
    this.piece = bytes * LARGEST_SHARE > whole.buffer.byteLength ? whole : Buffer.from(whole);
  }

  /** The next batch: its records from `offset` on (none when it does not count), and one past its last offset. Null at the end. */
  async next(offset: number): Promise<{ readonly records: Iterator<LogRecord>; readonly end: number } | null> {
    const header = readBatchHeader(this.piece, this.#at);
    if (header === null) return null;
    const at = this.#at;
    this.#at += header.bytes;
    const end = header.lastOffset + 1;
    if (!this.#counts(header) || end <= offset) return { records: NOTHING, end };
    return { records: await readBatch(this.piece, at, this.#topic, this.#partition, offset), end };
  }

  #counts({ control, transactional, producerId, lastOffset }: BatchHeader): boolean {
    while (this.#abortedLeft.length > 0 && this.#abortedLeft[0]!.firstOffset <= lastOffset) {
      this.#aborting.add(this.#abortedLeft.shift()!.producerId);
    }
    if (control === 'abort') this.#aborting.delete(producerId);
    return control === null && !(transactional && this.#aborting.has(producerId));
  }
}

const NOTHING: Iterator<LogRecord> = { next: () => ({ done: true, value: undefined }) };
