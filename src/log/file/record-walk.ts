import type { LogRecord } from '../log.ts';
import type { Block, SegmentReader } from './segment-reader.ts';

/** Reads the records of one block after the other. An offset that does not follow the one before is sought in its block. */
export class RecordWalk {
  #block: Block | null = null;
  /** Where in the segment the record at `#offset` lies, once it was sought. */
  #at = 0;
  #offset = 0;

  /** The record at `offset`, which lies in `block` of `segment`. @throws RepulsorError STATE_DAMAGED */
  async recordAt(
    segment: SegmentReader,
    block: Block,
    topic: string,
    partition: number,
    offset: number,
  ): Promise<LogRecord> {
    if (block !== this.#block || offset !== this.#offset)
      this.#at = await segment.positionOf(offset - block.base, block);
    this.#block = block;
    const { record, next } = await segment.recordAt(this.#at, block, topic, partition, offset);
    this.#at = next;
    this.#offset = offset + 1;
    return record;
  }
}
