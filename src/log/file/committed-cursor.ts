import { join } from 'node:path';
import { RepulsorError } from '../../errors.ts';
import { isCode } from '../../files/durable-file.ts';
import type { LogRecord } from '../log.ts';
import type { PartitionCursor } from '../turns.ts';
import type { Span } from './chain.ts';
import type { Committed } from './committed.ts';
import { segmentName } from './layout.ts';
import { listPartition } from './partition-files.ts';
import type { CursorOptions } from './plain-cursor.ts';
import { RecordWalk } from './record-walk.ts';
import { type Block, damaged, SegmentReader } from './segment-reader.ts';

/** Reads a partition written by transactions: only the spans that commit entries name, which must all check. */
export class CommittedCursor implements PartitionCursor {
  readonly partition: number;
  readonly #options: CursorOptions;
  readonly #committed: Committed;
  #spanIndex = 0;
  #segment: SegmentReader | null = null;
  #segmentOf: Span | null = null;
  #block: Block | null = null;
  readonly #walk = new RecordWalk();
  #wanted: number;

  constructor(options: CursorOptions, committed: Committed) {
    this.#options = options;
    this.#committed = committed;
    this.partition = options.partition;
    this.#wanted = options.from;
  }

  async tryNext(): Promise<LogRecord | 'waiting' | 'done'> {
    const { to, topic } = this.#options;
    if (to !== null && this.#wanted >= to) return 'done';
    const span = await this.#spanOfWanted();
    if (span === null) {
      const end = this.#committed.endOf(topic, this.partition);
      return to !== null && end >= to ? 'done' : 'waiting';
    }
    if (to !== null && Math.max(this.#wanted, span.base) >= to) return 'done';
    const block = await this.#blockOfWanted(span);
    const record = await this.#walk.recordAt(this.#segment!, block, topic, this.partition, this.#wanted);
    this.#wanted += 1;
    return record;
  }

  async close(): Promise<void> {
    await this.#segment?.close();
    this.#segment = null;
    this.#segmentOf = null;
  }

  /** The span that holds the wanted offset, or the next one behind it (offsets have gaps); null when there is none yet. */
  async #spanOfWanted(): Promise<Span | null> {
    for (let looked = false; ; looked = true) {
      const spans = this.#committed.spansOf(this.#options.topic, this.partition);
      if (this.#spanIndex === 0) this.#spanIndex = firstSpanOf(spans, this.#wanted);
      let span = spans[this.#spanIndex];
      while (span !== undefined && (span.count === 0 || endOf(span) <= this.#wanted)) span = spans[++this.#spanIndex];
      if (span !== undefined) return span;
      if (looked) return null;
      await this.#committed.refresh();
    }
  }

  async #blockOfWanted(span: Span): Promise<Block> {
    const wanted = Math.max(this.#wanted, span.base);
    this.#wanted = wanted;
    let block = this.#block;
    if (this.#segmentOf === null || !sameSegment(this.#segmentOf, span)) {
      await this.close();
      this.#segment = await this.#open(span);
      block = null;
    }
    if (this.#segmentOf !== span) block = null;
    this.#segmentOf = span;
    let position = block === null ? span.start : block.end;
    let base = block === null ? span.base : block.base + block.count;
    while (block === null || wanted >= block.base + block.count) {
      const segment = this.#segment!;
      if (position >= span.end) throw damaged(segment.path, position, `offset ${wanted} is missing`);
      const next: Block | null = await segment.blockAt(position, { limit: span.end, acks: false });
      if (next === null || next.base !== base)
        throw damaged(segment.path, position, `a block of offset ${base} is missing`);
      block = next;
      position = next.end;
      base = next.base + next.count;
    }
    this.#block = block;
    return block;
  }

  async #open(span: Span): Promise<SegmentReader> {
    const { folder, windowBytes, memory, truncated } = this.#options;
    const path = join(folder, segmentName({ base: span.segment, epoch: span.epoch }));
    try {
      return await SegmentReader.open(path, span.segment, windowBytes, memory);
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error;
      const { start } = await listPartition(folder);
      if (this.#wanted < start) throw truncated(this.#wanted, start);
      throw new RepulsorError(
        'STATE_MISSING',
        `${path} is missing: it holds committed records from offset ${span.base}`,
        {
          hint: 'Restore the file from a copy.',
        },
      );
    }
  }
}

const endOf = (span: Span): number => span.base + span.count;
const sameSegment = (a: Span, b: Span): boolean => a.segment === b.segment && a.epoch === b.epoch;

/** Index of the first span that ends behind `offset`. */
function firstSpanOf(spans: readonly Span[], offset: number): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (endOf(spans[middle]!) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
