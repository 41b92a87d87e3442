import { join } from 'node:path';
import { isCode } from '../../files/durable-file.ts';
import { ACK, BLOCK_HEADER, SEGMENT_HEADER } from './block-frame.ts';
import type { Span } from './chain.ts';
import { segmentName } from './layout.ts';
import { listPartition } from './partition-files.ts';
import { type Block, SegmentReader } from './segment-reader.ts';

/** A partition, and where it lies. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly folder: string;
}

const HEADERS_ONLY = 4096;

/**
 * The first offset of a partition written by plain appends whose record has the timestamp or a later one; null when there
 * is none. Segments and blocks say how late their latest record is, so only headers are read, and one block.
 */
export async function plainOffsetAt(place: Place, timestamp: number): Promise<number | null> {
  const { segments } = await listPartition(place.folder);
  for (const [i, name] of segments.entries()) {
    const next = segments[i + 1];
    if (next !== undefined && (await newestBefore(place, next)) < timestamp) continue;
    const reader = await openSegment(place, name);
    if (reader === null) continue; // removed by retention meanwhile, as all before it
    try {
      for (let position = SEGMENT_HEADER; ; ) {
        const block = await reader.blockAt(position, { limit: null, acks: true });
        if (block === null) break;
        const found = await offsetInBlock(reader, block, place, timestamp);
        if (found !== null) return found;
        position = block.end + ACK;
      }
    } finally {
      await reader.close();
    }
  }
  return null;
}

/** The same for a partition written by transactions: only in what is committed. */
export async function committedOffsetAt(
  place: Place,
  spans: readonly Span[],
  timestamp: number,
): Promise<number | null> {
  const { start } = await listPartition(place.folder);
  let reader: SegmentReader | null = null;
  let of: Span | null = null;
  try {
    for (const span of spans) {
      if (span.base + span.count <= start || span.newest < timestamp) continue;
      if (reader === null || of?.segment !== span.segment || of.epoch !== span.epoch) {
        await reader?.close();
        reader = await openSegment(place, { base: span.segment, epoch: span.epoch });
        of = span;
      }
      if (reader === null) continue;
      for (let position = span.start; position < span.end; ) {
        const block: Block | null = await reader.blockAt(position, { limit: span.end, acks: false });
        if (block === null) break;
        const found = await offsetInBlock(reader, block, place, timestamp, start);
        if (found !== null) return found;
        position = block.end;
      }
    }
    return null;
  } finally {
    await reader?.close();
  }
}

/** The newest timestamp of the segment before, as this one's header says; none is known once it is gone. */
async function newestBefore(place: Place, name: { readonly base: number; readonly epoch: number }): Promise<number> {
  const reader = await openSegment(place, name);
  await reader?.close();
  return reader?.header.previousNewest ?? -1;
}

async function openSegment(
  { folder }: Place,
  name: { readonly base: number; readonly epoch: number },
): Promise<SegmentReader | null> {
  try {
    return await SegmentReader.open(join(folder, segmentName(name)), name.base, HEADERS_ONLY);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

async function offsetInBlock(
  reader: SegmentReader,
  block: Block,
  { topic, partition }: Place,
  timestamp: number,
  least = 0,
): Promise<number | null> {
  if (block.newest < timestamp) return null;
  let at = block.position + BLOCK_HEADER;
  for (let offset = block.base; offset < block.base + block.count; offset++) {
    const { record, next } = await reader.recordAt(at, block, topic, partition, offset);
    if (record.timestamp >= timestamp && offset >= least) return offset;
    at = next;
  }
  return null;
}
