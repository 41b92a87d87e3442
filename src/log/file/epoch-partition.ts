import { randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { RepulsorError } from '../../errors.ts';
import { createExclusively, writeFully } from '../../files/durable-file.ts';
import type { NewRecord } from '../log.ts';
import { encodeBlocks, encodeSegmentHeader, SEGMENT_HEADER } from './block-frame.ts';
import type { Span } from './chain.ts';
import type { Committed } from './committed.ts';
import { type SegmentName, segmentName } from './layout.ts';
import { listPartition, removeSegments } from './partition-files.ts';

export interface EpochPartitionOptions {
  readonly topic: string;
  readonly partition: number;
  readonly folder: string;
  readonly epoch: number;
  readonly segmentBytes: number;
  readonly retentionMs: number | null;
}

/**
 * Where one epoch of a transactional id writes its records of one partition: to segments that only this epoch ever
 * appends to. What it writes counts when a commit entry names it, and never otherwise.
 */
export class EpochPartition {
  readonly #options: EpochPartitionOptions;
  readonly #committed: Committed;
  #handle: FileHandle | null = null;
  #segment = 0;
  #seed = 0;
  #position = 0;
  /** The next offset to give. It never goes back, so an aborted offset is not given again by this writer. */
  #next: number;
  /** Of the open transaction. */
  #spans: Span[] = [];
  #unsynced: FileHandle[] = [];

  constructor(options: EpochPartitionOptions, committed: Committed) {
    this.#options = options;
    this.#committed = committed;
    this.#next = committed.endOf(options.topic, options.partition);
  }

  /** Resolves to the offsets. Not durable before `sync`. Calls must not overlap. */
  async append(records: readonly NewRecord[], now: number): Promise<number[]> {
    const first = this.#next;
    if (this.#handle === null || this.#position >= this.#options.segmentBytes) await this.#roll();
    const handle = this.#handle!;
    for (const block of encodeBlocks(records, first, this.#seed, now)) {
      await writeFully(handle, block.bytes, this.#position);
      const end = this.#position + block.bytes.byteLength;
      this.#addSpan(block.base, block.count, this.#position, end, block.newest);
      this.#position = end;
      this.#next = block.base + block.count;
    }
    if (!this.#unsynced.includes(handle)) this.#unsynced.push(handle);
    return records.map((_, index) => first + index);
  }

  /** Leaves offsets out: the next record has `offset`, and the partition ends there until it comes. */
  skipTo(offset: number): void {
    if (offset === this.#next) return;
    if (offset < this.#next) {
      const { topic, partition } = this.#options;
      throw new RepulsorError(
        'LOG_FAILED',
        `${topic}, partition ${partition}, ends at ${this.#next}, not at ${offset}`,
        {
          hint: 'Another writer came between. Copy again: what is there is compared first.',
        },
      );
    }
    this.#next = offset;
    this.#addSpan(offset, 0, this.#position, this.#position, -1);
  }

  #addSpan(base: number, count: number, start: number, end: number, newest: number): void {
    const { topic, partition, epoch } = this.#options;
    const last = this.#spans.at(-1);
    const joins = last?.segment === this.#segment && last.end === start && last.base + last.count === base;
    if (last !== undefined && joins && last.count > 0 && count > 0) {
      this.#spans.pop();
      this.#spans.push({ ...last, count: last.count + count, end, newest: Math.max(last.newest, newest) });
    } else {
      // Records behind a gap say themselves where it ends.
      if (last?.count === 0) this.#spans.pop();
      this.#spans.push({ topic, partition, base, count, segment: this.#segment, epoch, start, end, newest });
    }
  }

  /** Makes the open transaction's records durable and tells what a commit entry has to name. */
  async sync(): Promise<readonly Span[]> {
    await Promise.all(this.#unsynced.map((handle) => handle.datasync()));
    return this.#spans;
  }

  /** The transaction is over. Bytes of an aborted one stay unnamed in the file. */
  async end(): Promise<void> {
    this.#spans = [];
    for (const handle of this.#unsynced) if (handle !== this.#handle) await handle.close();
    this.#unsynced = [];
  }

  async close(): Promise<void> {
    const handles = new Set([...this.#unsynced, this.#handle]);
    this.#handle = null;
    for (const handle of handles) await handle?.close();
  }

  async #roll(): Promise<void> {
    const { folder, epoch } = this.#options;
    const previous = this.#handle;
    const name = { base: this.#next, epoch };
    const path = join(folder, segmentName(name));
    const seed = randomBytes(4).readUInt32LE();
    await createExclusively(
      path,
      encodeSegmentHeader({ seed, base: this.#next, previousBytes: 0, previousNewest: -1 }),
    );
    this.#handle = await open(path, 'r+');
    this.#segment = this.#next;
    this.#seed = seed;
    this.#position = SEGMENT_HEADER;
    if (previous !== null && !this.#unsynced.includes(previous)) await previous.close();
    await this.#clean(name);
  }

  /** Removes what retention has expired, and segments of older epochs that no commit names: none ever will. */
  async #clean(current: SegmentName): Promise<void> {
    const { topic, partition, folder, epoch, retentionMs } = this.#options;
    const newest = new Map<string, number>();
    const spans = this.#committed.spansOf(topic, partition);
    for (const span of spans) {
      const name = segmentName({ base: span.segment, epoch: span.epoch });
      newest.set(name, Math.max(newest.get(name) ?? -1, span.newest));
    }
    const oldest = retentionMs === null ? Number.NEGATIVE_INFINITY : Date.now() - retentionMs;
    const removed: SegmentName[] = [];
    let start: number | null = null;
    let expiring = true; // only from the front on: what is left has no holes
    for (const segment of (await listPartition(folder)).segments) {
      const name = segmentName(segment);
      if (name === segmentName(current)) continue;
      const time = newest.get(name);
      if (time === undefined) {
        if (segment.epoch < epoch) removed.push(segment);
      } else if (expiring && time < oldest) {
        removed.push(segment);
        const last = spans.findLast((span) => span.segment === segment.base && span.epoch === segment.epoch)!;
        start = last.base + last.count;
      } else {
        expiring = false;
      }
    }
    if (removed.length > 0) await removeSegments(folder, removed, start);
  }
}
