import { randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { createExclusively, writeFully } from '../../files/durable-file.ts';
import type { NewRecord } from '../log.ts';
import { ACK, encodeAck, encodeBlocks, encodeSegmentHeader, SEGMENT_HEADER } from './block-frame.ts';
import { segmentName } from './layout.ts';
import { listPartition, removeSegments } from './partition-files.ts';
import { damaged, SegmentReader } from './segment-reader.ts';

/** Where the blocks of the last segment end. */
export interface PlainEnd {
  readonly segmentBase: number;
  readonly seed: number;
  /** Where the last block begins; -1 when the segment has none. */
  readonly lastBlock: number;
  readonly position: number;
  /** One past the last offset. */
  readonly offset: number;
  /** The largest timestamp in the blocks passed on the way; -1 when there were none. */
  readonly newest: number;
}

/** Hops over the last segment's blocks, from `known` on when that is still the last. Null: there is no segment. */
export async function findPlainEnd(folder: string, known: PlainEnd | null, verify = false): Promise<PlainEnd | null> {
  const last = (await listPartition(folder)).segments.at(-1);
  if (last === undefined) return null;
  const path = join(folder, segmentName(last));
  const reader = await SegmentReader.open(path, last.base, verify ? 1 << 20 : 4096);
  try {
    let end: PlainEnd = known?.segmentBase === last.base ? known : emptySegment(last.base, reader.header.seed);
    for (;;) {
      const block = await reader.blockAt(end.position, { limit: null, acks: true }, verify);
      if (block === null) return end;
      if (block.base !== end.offset) throw damaged(path, end.position, `a block of offset ${end.offset} is missing`);
      end = {
        ...end,
        lastBlock: block.position,
        position: block.end + ACK,
        offset: block.base + block.count,
        newest: Math.max(end.newest, block.newest),
      };
    }
  } finally {
    await reader.close();
  }
}

const emptySegment = (base: number, seed: number): PlainEnd => ({
  segmentBase: base,
  seed,
  lastBlock: -1,
  position: SEGMENT_HEADER,
  offset: base,
  newest: -1,
});

export interface PlainPartitionOptions {
  readonly folder: string;
  readonly segmentBytes: number;
  readonly retentionMs: number | null;
}

/** The writing end of a partition of plain appends. Whoever opens it holds the topic's lock. */
export class PlainPartition {
  readonly #options: PlainPartitionOptions;
  readonly #handle: FileHandle;
  readonly #seed: number;
  #position: number;
  #offset: number;
  #newest: number;

  private constructor(options: PlainPartitionOptions, handle: FileHandle, end: PlainEnd) {
    this.#options = options;
    this.#handle = handle;
    this.#seed = end.seed;
    this.#position = end.position;
    this.#offset = end.offset;
    this.#newest = end.newest;
  }

  /** Checks the last segment from end to end and cuts a torn tail off. @throws RepulsorError STATE_DAMAGED */
  static async open(options: PlainPartitionOptions): Promise<PlainPartition> {
    const { folder } = options;
    const end = (await findPlainEnd(folder, null, true)) ?? (await PlainPartition.#create(folder, 0, 0, -1));
    const handle = await open(join(folder, segmentName({ base: end.segmentBase, epoch: 0 })), 'r+');
    try {
      // The last block may be intact without its ack, and behind it may lie a torn one.
      if (end.lastBlock >= 0) await writeFully(handle, encodeAck(end.lastBlock, end.seed), end.position - ACK);
      await handle.truncate(end.position);
      await handle.sync();
      await applyRetention(options);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return new PlainPartition(options, handle, end);
  }

  static async #create(folder: string, base: number, previousBytes: number, previousNewest: number): Promise<PlainEnd> {
    const seed = randomBytes(4).readUInt32LE();
    const path = join(folder, segmentName({ base, epoch: 0 }));
    await createExclusively(path, encodeSegmentHeader({ seed, base, previousBytes, previousNewest }));
    return emptySegment(base, seed);
  }

  /** Appends in order; durable when it resolves. Resolves to the offsets. Calls must not overlap. */
  async append(records: readonly NewRecord[], now: number): Promise<number[]> {
    const base = this.#offset;
    for (const block of encodeBlocks(records, base, this.#seed, now)) {
      await writeFully(this.#handle, block.bytes, this.#position);
      await this.#handle.datasync();
      const end = this.#position + block.bytes.byteLength;
      await writeFully(this.#handle, encodeAck(this.#position, this.#seed), end);
      this.#position = end + ACK;
      this.#offset += block.count;
      this.#newest = Math.max(this.#newest, block.newest);
    }
    return records.map((_, index) => base + index);
  }

  get full(): boolean {
    return this.#position >= this.#options.segmentBytes;
  }

  /** Begins the next segment, which seals this one. */
  async roll(): Promise<PlainPartition> {
    await this.close();
    await PlainPartition.#create(this.#options.folder, this.#offset, this.#position, this.#newest);
    return PlainPartition.open(this.#options);
  }

  /**
   * After an append that failed: cuts what of it reached the file, so that nobody takes it for written. A page that
   * could not be written may look written until the power goes: after a failed fsync Linux calls it clean.
   */
  async abandon(): Promise<void> {
    await this.#handle.truncate(this.#position).catch(() => undefined); // opening it again looks once more
    await this.#handle.close().catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#handle.sync();
    await this.#handle.close();
  }
}

/** Removes sealed segments whose newest record is older than the topic keeps records. */
async function applyRetention({ folder, retentionMs }: PlainPartitionOptions): Promise<void> {
  if (retentionMs === null) return;
  const { segments } = await listPartition(folder);
  const oldest = Date.now() - retentionMs;
  let expired = 0;
  for (const next of segments.slice(1)) {
    const reader = await SegmentReader.open(join(folder, segmentName(next)), next.base, 4096);
    await reader.close();
    if (reader.header.previousNewest >= oldest) break;
    expired += 1;
  }
  if (expired > 0) await removeSegments(folder, segments.slice(0, expired), segments[expired]!.base);
}
