import { join } from 'node:path';
import { isCode } from '../../files/durable-file.ts';
import type { LogRecord } from '../log.ts';
import type { ReadMemory } from '../read-memory.ts';
import type { PartitionCursor } from '../turns.ts';
import { ACK, SEGMENT_HEADER } from './block-frame.ts';
import { segmentName } from './layout.ts';
import { listPartition } from './partition-files.ts';
import { RecordWalk } from './record-walk.ts';
import { type Block, damaged, SegmentReader } from './segment-reader.ts';

export interface CursorOptions {
  readonly topic: string;
  readonly partition: number;
  readonly folder: string;
  readonly from: number;
  /** Null: follow. */
  readonly to: number | null;
  readonly windowBytes: number;
  readonly memory: ReadMemory | undefined;
  /** Made when offsets that are wanted are gone: thrown by whoever finds out. */
  readonly truncated: (offset: number, start: number) => Error;
}

/**
 * Reads a partition written by plain appends: segment after segment, block after block. While a segment is the last
 * one it is read as far as it is complete; once there is a next one, that one's header says how long it is.
 */
export class PlainCursor implements PartitionCursor {
  readonly partition: number;
  readonly #options: CursorOptions;
  #segment: SegmentReader | null = null;
  /** The sealed length of the segment; null while it is the last. */
  #limit: number | null = null;
  /** Where the next block begins, and its base. */
  #position = 0;
  #base = 0;
  #block: Block | null = null;
  readonly #walk = new RecordWalk();
  #wanted: number;

  constructor(options: CursorOptions) {
    this.#options = options;
    this.partition = options.partition;
    this.#wanted = options.from;
  }

  async tryNext(): Promise<LogRecord | 'waiting' | 'done'> {
    const { to, topic } = this.#options;
    if (to !== null && this.#wanted >= to) return 'done';
    const block = await this.#blockOfWanted();
    if (block === null) return 'waiting';
    const record = await this.#walk.recordAt(this.#segment!, block, topic, this.partition, this.#wanted);
    this.#wanted += 1;
    return record;
  }

  async close(): Promise<void> {
    await this.#segment?.close();
    this.#segment = null;
  }

  async #blockOfWanted(): Promise<Block | null> {
    for (;;) {
      if (this.#block !== null && this.#wanted < this.#block.base + this.#block.count) return this.#block;
      if (this.#segment === null && !(await this.#openSegmentOf(this.#wanted))) return null;
      const sealed = this.#limit !== null && this.#position >= this.#limit;
      const block = sealed ? null : await this.#segment!.blockAt(this.#position, { limit: this.#limit, acks: true });
      if (block !== null) {
        if (block.base !== this.#base)
          throw damaged(this.#segment!.path, block.position, `a block of offset ${this.#base} is missing`);
        this.#block = block;
        this.#position = block.end + ACK;
        this.#base = block.base + block.count;
        continue;
      }
      if (sealed) await this.#leaveSegment();
      else if (!(await this.#learnLimit())) return null;
    }
  }

  /** Opens the segment that holds `offset`. False when the partition has no segment yet. */
  async #openSegmentOf(offset: number): Promise<boolean> {
    const { folder, windowBytes, memory, truncated } = this.#options;
    for (let attempt = 0; ; attempt++) {
      const { start, segments } = await listPartition(folder);
      if (offset < start) throw truncated(offset, start);
      const name = segments.findLast(({ base }) => base <= offset);
      if (name === undefined) {
        if (segments.length === 0 && offset === start) return false;
        if (attempt < 3) continue; // retention may remove a segment between two looks
        throw damaged(folder, 0, `no segment holds offset ${offset}`);
      }
      try {
        this.#segment = await SegmentReader.open(join(folder, segmentName(name)), name.base, windowBytes, memory);
      } catch (error) {
        if (isCode(error, 'ENOENT') && attempt < 3) continue;
        throw error;
      }
      this.#position = SEGMENT_HEADER;
      this.#base = name.base;
      this.#limit = null;
      this.#block = null;
      await this.#learnLimit();
      return true;
    }
  }

  /** Whether a next segment is there, which seals this one. */
  async #learnLimit(): Promise<boolean> {
    const { folder, windowBytes } = this.#options;
    const own = this.#segment!.header.base;
    const successor = (await listPartition(folder)).segments.find(({ base }) => base > own);
    if (successor === undefined) return false;
    const reader = await SegmentReader.open(join(folder, segmentName(successor)), successor.base, windowBytes).catch(
      (error: unknown) => {
        if (isCode(error, 'ENOENT')) return null; // removed by retention just now: so this one is, too
        throw error;
      },
    );
    if (reader === null) return false;
    this.#limit = reader.header.previousBytes;
    await reader.close();
    return true;
  }

  /** The sealed segment is read to its end: the next one must begin where it ended. */
  async #leaveSegment(): Promise<void> {
    const { path } = this.#segment!;
    const [expected, position] = [this.#base, this.#position];
    await this.close();
    if ((await this.#openSegmentOf(expected)) && this.#base === expected) return;
    throw damaged(path, position, `the segment that follows, from offset ${expected}, is missing`);
  }
}
