import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { RepulsorError } from '../../errors.ts';
import { readFully } from '../../files/durable-file.ts';
import type { LogRecord } from '../log.ts';
import { ReadMemory } from '../read-memory.ts';
import {
  ACK,
  BLOCK_HEADER,
  type BlockHeader,
  decodeBlockHeader,
  decodeSegmentHeader,
  encodeAck,
  findAck,
  SEGMENT_HEADER,
  SEGMENT_VERSION,
  type SegmentHeader,
} from './block-frame.ts';
import { RECORD_PREFIX, readRecordFrame, recordFrameValid } from './record-frame.ts';

/** A block's place in its segment. */
export interface Block extends BlockHeader {
  readonly position: number;
  /** Where the records end: the ack follows, or the next block in a topic written by transactions. */
  readonly end: number;
}

/** What of a segment may be read: up to `limit` exactly, or, when it is null, whatever is complete in a file that still grows. */
export interface Extent {
  readonly limit: number | null;
  /** Whether an ack stands behind each block. */
  readonly acks: boolean;
}

const NOTHING = Buffer.alloc(0);

/**
 * Reads one segment through a window of at most `windowBytes` (or one record, if that is larger). Every check that
 * fails is made once more on freshly read bytes before it is called damage: a writer may have been at work.
 */
export class SegmentReader {
  readonly path: string;
  readonly header: SegmentHeader;
  readonly #handle: FileHandle;
  readonly #windowBytes: number;
  readonly #memory: ReadMemory;
  #window: Buffer = NOTHING;
  #windowAt = 0;

  private constructor(
    path: string,
    handle: FileHandle,
    header: SegmentHeader,
    windowBytes: number,
    memory: ReadMemory,
  ) {
    this.path = path;
    this.#handle = handle;
    this.header = header;
    this.#windowBytes = windowBytes;
    this.#memory = memory;
  }

  /**
   * Records hold `memory` on their own account. @throws the system's error when the file is not there; RepulsorError
   * STATE_DAMAGED or FORMAT_NEWER.
   */
  static async open(
    path: string,
    base: number,
    windowBytes: number,
    memory = new ReadMemory(),
  ): Promise<SegmentReader> {
    const handle = await open(path, constants.O_RDONLY);
    try {
      const header = decodeSegmentHeader(await readFully(handle, Buffer.alloc(SEGMENT_HEADER), 0));
      if (header === null || header.base !== base) throw damaged(path, 0, 'the segment header does not check');
      if (header.version > SEGMENT_VERSION) {
        throw new RepulsorError('FORMAT_NEWER', `${path} has format version ${header.version}`, {
          hint: `This version reads up to ${SEGMENT_VERSION}; update it.`,
        });
      }
      return new SegmentReader(path, handle, header, windowBytes, memory);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  close(): Promise<void> {
    this.#forget();
    return this.#handle.close();
  }

  /**
   * The block at `position`. Null: nothing complete there (yet), which only an extent without a limit may say.
   * With `verify` its records are checked too. @throws RepulsorError STATE_DAMAGED
   */
  async blockAt(position: number, extent: Extent, verify = false): Promise<Block | null> {
    const block = await this.#headerAt(position, extent);
    if (block === null) return null;
    if (extent.acks && !(await this.#ackCheck(block))) {
      if (extent.limit !== null) throw damaged(this.path, block.end, 'the ack of a block does not check');
      return (await this.#unacknowledged(block)) ? block : null;
    }
    if (verify && !(await this.#recordsCheck(block))) {
      throw damaged(this.path, position, 'a record of the block there does not check');
    }
    return block;
  }

  async #ackCheck(block: Block): Promise<boolean> {
    const expected = encodeAck(block.position, this.header.seed);
    if ((await this.#read(block.end, ACK)).equals(expected)) return true;
    this.#forget();
    return (await this.#read(block.end, ACK)).equals(expected);
  }

  async #headerAt(position: number, { limit, acks }: Extent): Promise<Block | null> {
    const look = async (): Promise<Block | null> => {
      const header = decodeBlockHeader(await this.#read(position, BLOCK_HEADER), this.header.seed);
      if (header === null) return null;
      const end = position + BLOCK_HEADER + header.recordBytes;
      return limit === null || end + (acks ? ACK : 0) <= limit ? { ...header, position, end } : null;
    };
    let block = await look();
    if (block === null) {
      this.#forget();
      block = await look();
    }
    if (block !== null) return block;
    if (limit !== null) throw damaged(this.path, position, 'the block header does not check');
    if (!(await this.#ackBehind(position))) return null;
    // The writer may have finished the block between the look and the ack: behind an ack it must check.
    this.#forget();
    block = await look();
    if (block === null) throw damaged(this.path, position, 'a block that was acknowledged does not check');
    return block;
  }

  /** Whether a block without an ack counts: only if it is intact, and then it is made durable first. */
  async #unacknowledged(block: Block): Promise<boolean> {
    if ((await this.size()) < block.end) return false;
    if (!(await this.#recordsCheck(block))) {
      if (!(await this.#ackBehind(block.position))) return false;
      this.#forget(); // the writer may have finished it between the two looks
      if (!(await this.#recordsCheck(block)))
        throw damaged(this.path, block.position, 'a block that was acknowledged does not check');
    }
    this.#forget(); // records were read after the ack was looked for: look again
    const expected = encodeAck(block.position, this.header.seed);
    const found = Buffer.from(await this.#read(block.end, ACK));
    const torn = expected.subarray(0, found.byteLength).equals(found) || found.every((byte) => byte === 0);
    if (!torn) throw damaged(this.path, block.end, 'the ack of a block does not check');
    if (process.platform !== 'win32') await this.#handle.datasync(); // which takes no handle opened for reading
    return true;
  }

  /** Whether the ack of any block stands behind `position`: then the block there was complete before it. */
  async #ackBehind(position: number): Promise<boolean> {
    const tail = await readFully(this.#handle, Buffer.alloc(Math.max(0, (await this.size()) - position)), position);
    return findAck(tail, position, this.header.seed) >= 0;
  }

  async #recordsCheck(block: Block): Promise<boolean> {
    let at = block.position + BLOCK_HEADER;
    for (let index = 0; index < block.count; index++) {
      const frame = await this.#frameAt(at, block.end);
      if (frame === null) return false;
      at += frame.byteLength;
    }
    return at === block.end;
  }

  /** The record frame at `at`, checked; null when it does not check. Valid until the next read. */
  async #frameAt(at: number, end: number): Promise<Buffer | null> {
    for (let attempt = 0; attempt < 2; attempt++) {
      const prefix = await this.#read(at, RECORD_PREFIX);
      const bytes = prefix.byteLength < RECORD_PREFIX ? 0 : RECORD_PREFIX + prefix.readUInt32LE(0);
      if (bytes > RECORD_PREFIX && at + bytes <= end) {
        const frame = await this.#read(at, bytes);
        if (frame.byteLength === bytes && recordFrameValid(frame, this.header.seed)) return frame;
      }
      this.#forget();
    }
    return null;
  }

  /** The record at file position `at` of a block, and the position behind it. @throws RepulsorError STATE_DAMAGED */
  async recordAt(
    at: number,
    block: Block,
    topic: string,
    partition: number,
    offset: number,
  ): Promise<{ record: LogRecord; next: number }> {
    const frame = await this.#frameAt(at, block.end);
    if (frame === null) throw damaged(this.path, at, `the record at offset ${offset} does not check`);
    const record = readRecordFrame(frame, topic, partition, offset);
    this.#memory.holdRecord(record);
    return { record, next: at + frame.byteLength };
  }

  /** The position of record number `index` of the block: hops over the ones before. */
  async positionOf(index: number, block: Block): Promise<number> {
    const hop = async (): Promise<number | null> => {
      let at = block.position + BLOCK_HEADER;
      for (let hops = 0; hops < index; hops++) {
        const prefix = await this.#read(at, RECORD_PREFIX);
        if (prefix.byteLength < RECORD_PREFIX) return null;
        at += RECORD_PREFIX + prefix.readUInt32LE(0);
        if (at >= block.end) return null;
      }
      return at;
    };
    let at = await hop();
    if (at === null) {
      this.#forget();
      at = await hop();
    }
    if (at === null) throw damaged(this.path, block.position, 'the record lengths of the block there do not add up');
    return at;
  }

  /** A view of the window, valid until the next read; short at the end of the file. */
  async #read(position: number, bytes: number): Promise<Buffer> {
    const from = position - this.#windowAt;
    if (from >= 0 && from + bytes <= this.#window.byteLength) return this.#window.subarray(from, from + bytes);
    this.#forget();
    const target = this.#memory.take(Math.max(bytes, this.#windowBytes));
    this.#window = await readFully(this.#handle, target, position);
    this.#windowAt = position;
    return this.#window.subarray(0, bytes);
  }

  #forget(): void {
    this.#memory.release(this.#window);
    this.#window = NOTHING;
  }
}

export function damaged(path: string, position: number, what: string): RepulsorError {
  return new RepulsorError('STATE_DAMAGED', `${path} at byte ${position}: ${what}`, {
    hint: 'The bytes on the disk are not those that were written. Restore the file from a copy; nothing was skipped.',
  });
}
