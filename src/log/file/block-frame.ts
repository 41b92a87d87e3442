import type { NewRecord } from '../log.ts';
import { checksum } from './crc.ts';
import { recordFrameBytes, writeRecordFrame } from './record-frame.ts';

/*
 * segment      = segmentHeader block*
 * segmentHeader= "RSEG" version:u16 zero:u16 seed:u32 base:u64 previousBytes:u64 previousNewest:i64 crc:u32
 * block        = blockHeader record{count} ack         one append (or a part of a large one) to one partition
 * blockHeader  = "RBLK" recordBytes:u32 count:u32 base:u64 newest:i64 crc:u32
 * ack          = "RACK" position:u64 crc:u32           position: of the block's first byte in the file
 *
 * Little-endian; each crc covers what stands before it in its own frame, seeded by the segment (crc.ts; the segment
 * header's own seed is 0). base: the offset of the first record. newest: the largest timestamp. previousBytes and
 * previousNewest: the sealed length and the newest timestamp of the segment before, 0 and -1 when there is none.
 *
 * The ack is why a torn tail and damage can be told apart. It is written after fsync of its block has returned, and is
 * itself not synced: what was ever acknowledged has its ack (or, after a power cut in that instant, is intact without
 * it), and at most one block at the end of a file was never acknowledged. So a block that does not check is a torn
 * tail if no valid ack lies behind it, and damage otherwise.
 * In a topic written by transactions blocks have no acks: the transaction's commit entry (chain.ts) takes their place.
 */

export const SEGMENT_VERSION = 1;
export const SEGMENT_HEADER = 40;
export const BLOCK_HEADER = 32;
export const ACK = 16;

const SEGMENT_MAGIC = 'RSEG';
const BLOCK_MAGIC = 'RBLK';
const ACK_MAGIC = 'RACK';

/** Most bytes of records in one block, unless a single record is larger: what is written and synced in one piece. */
const BLOCK_BYTES = 8 * 1024 * 1024;

export interface SegmentHeader {
  readonly version: number;
  readonly seed: number;
  readonly base: number;
  readonly previousBytes: number;
  readonly previousNewest: number;
}

export interface BlockHeader {
  readonly recordBytes: number;
  readonly count: number;
  readonly base: number;
  readonly newest: number;
}

export interface EncodedBlock extends BlockHeader {
  /** Header and records, without the ack. */
  readonly bytes: Buffer;
}

export function encodeSegmentHeader(header: Omit<SegmentHeader, 'version'>): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER);
  bytes.write(SEGMENT_MAGIC, 0, 'latin1');
  bytes.writeUInt16LE(SEGMENT_VERSION, 4);
  bytes.writeUInt32LE(header.seed, 8);
  bytes.writeBigUInt64LE(BigInt(header.base), 12);
  bytes.writeBigUInt64LE(BigInt(header.previousBytes), 20);
  bytes.writeBigInt64LE(BigInt(header.previousNewest), 28);
  bytes.writeUInt32LE(checksum(0, bytes.subarray(0, 36)), 36);
  return bytes;
}

/** Null when the bytes are no valid segment header. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | null {
  if (bytes.byteLength < SEGMENT_HEADER || bytes.toString('latin1', 0, 4) !== SEGMENT_MAGIC) return null;
  if (checksum(0, bytes.subarray(0, 36)) !== bytes.readUInt32LE(36)) return null;
  return {
    version: bytes.readUInt16LE(4),
    seed: bytes.readUInt32LE(8),
    base: Number(bytes.readBigUInt64LE(12)),
    previousBytes: Number(bytes.readBigUInt64LE(20)),
    previousNewest: Number(bytes.readBigInt64LE(28)),
  };
}

/** Null when the bytes are no valid block header of the segment with this seed. */
export function decodeBlockHeader(bytes: Buffer, seed: number): BlockHeader | null {
  if (bytes.byteLength < BLOCK_HEADER || bytes.toString('latin1', 0, 4) !== BLOCK_MAGIC) return null;
  if (checksum(seed, bytes.subarray(0, 28)) !== bytes.readUInt32LE(28)) return null;
  return {
    recordBytes: bytes.readUInt32LE(4),
    count: bytes.readUInt32LE(8),
    base: Number(bytes.readBigUInt64LE(12)),
    newest: Number(bytes.readBigInt64LE(20)),
  };
}

export function encodeAck(position: number, seed: number): Buffer {
  const bytes = Buffer.alloc(ACK);
  bytes.write(ACK_MAGIC, 0, 'latin1');
  bytes.writeBigUInt64LE(BigInt(position), 4);
  bytes.writeUInt32LE(checksum(seed, bytes.subarray(0, 12)), 12);
  return bytes;
}

/** Where in `tail`, which begins at `position` in its file, a valid ack of a block at or behind `position` begins; -1 when there is none. */
export function findAck(tail: Buffer, position: number, seed: number): number {
  for (let at = tail.indexOf(ACK_MAGIC, 0, 'latin1'); at >= 0; at = tail.indexOf(ACK_MAGIC, at + 1, 'latin1')) {
    if (at + ACK > tail.byteLength) return -1;
    const block = Number(tail.readBigUInt64LE(at + 4));
    const acked = block >= position && block < position + at;
    if (acked && tail.subarray(at, at + ACK).equals(encodeAck(block, seed))) return at;
  }
  return -1;
}

/** The records as blocks, in order; the first has offset `base`, and `now` is the timestamp of those that bring none. */
export function encodeBlocks(records: readonly NewRecord[], base: number, seed: number, now: number): EncodedBlock[] {
  const blocks: EncodedBlock[] = [];
  let first = 0;
  while (first < records.length) {
    let recordBytes = 0;
    let last = first;
    for (; last < records.length; last++) {
      const bytes = recordFrameBytes(records[last]!);
      if (last > first && recordBytes + bytes > BLOCK_BYTES) break;
      recordBytes += bytes;
    }
    blocks.push(encodeBlock(records.slice(first, last), recordBytes, base + first, seed, now));
    first = last;
  }
  return blocks;
}

function encodeBlock(
  records: readonly NewRecord[],
  recordBytes: number,
  base: number,
  seed: number,
  now: number,
): EncodedBlock {
  const bytes = Buffer.allocUnsafe(BLOCK_HEADER + recordBytes);
  let newest = -1;
  let position = BLOCK_HEADER;
  for (const record of records) {
    const timestamp = record.timestamp ?? now;
    newest = Math.max(newest, timestamp);
    position = writeRecordFrame(bytes, position, record, timestamp, seed);
  }
  bytes.write(BLOCK_MAGIC, 0, 'latin1');
  bytes.writeUInt32LE(recordBytes, 4);
  bytes.writeUInt32LE(records.length, 8);
  bytes.writeBigUInt64LE(BigInt(base), 12);
  bytes.writeBigInt64LE(BigInt(newest), 20);
  bytes.writeUInt32LE(checksum(seed, bytes.subarray(0, 28)), 28);
  return { bytes, recordBytes, count: records.length, base, newest };
}
