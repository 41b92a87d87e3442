import { checksum } from '../log/file/crc.ts';

/*
 * segment    = magic commit{commits} block{blocks} blockEntry{blocks} streams footer
 * magic      = "RLIN" version:u16 zero:u16
 * commit     = step:u64 offset:u64 journalBegin:u64 journalEnd:u64 journalDigest:32 crc:u32 zero:u32
 * blockEntry = stream:u32 postings:u32 offset:u64 position:u64 bytes:u32 crc:u32     crc: of the block
 * streams    = JSON: [[topic, partition], ...]        sorted by name, then number; blockEntry.stream counts from 0
 * footer     = afterStep:u64 lastStep:u64 commits:u64 postings:u64 directory:u64 blocks:u32 streamBytes:u32
 *              headOffset:u64 afterDigest:32 afterJournal:32 headDigest:32 tablesCrc:u32 crc:u32
 *
 * What a stretch of the lineage trained on: its commits in order, and for each record the steps. block: posting-block.ts.
 * Little-endian. Blocks are in the order of (stream, offset, step), so the directory is searched by halving. Commit
 * offset: in the topic of commits. after...: of the commit before the first (zeros when there is none); head...: of the
 * last one, SHA-256 of its record: this names all of the lineage up to there, so a segment is right for a lineage that
 * holds its head, and wrong for any other. tablesCrc: of the directory and the streams. Each crc covers what stands
 * before it in its own frame, with seed 0. A segment is never changed once it is named.
 */

export const SEGMENT_VERSION = 1;
export const MAGIC = 8;
export const COMMIT_ROW = 72;
export const BLOCK_ENTRY = 32;
export const FOOTER = 168;

/** One commit of the lineage, as much of it as finding its steps needs. */
export interface CommitRow {
  readonly step: number;
  /** In the topic of commits. */
  readonly offset: number;
  readonly journalBegin: number;
  readonly journalEnd: number;
  readonly journalDigest: Uint8Array;
}

export interface BlockEntry {
  readonly stream: number;
  readonly postings: number;
  /** Of its first posting. */
  readonly offset: number;
  /** In the file. */
  readonly position: number;
  readonly bytes: number;
  readonly crc: number;
}

/** A partition that was trained on. */
export interface StreamName {
  readonly topic: string;
  readonly partition: number;
}

export interface SegmentFooter {
  readonly afterStep: number;
  readonly lastStep: number;
  readonly commits: number;
  readonly postings: number;
  /** Where the block entries begin. */
  readonly directory: number;
  readonly blocks: number;
  readonly streamBytes: number;
  readonly headOffset: number;
  readonly afterDigest: Uint8Array;
  readonly afterJournal: Uint8Array;
  readonly headDigest: Uint8Array;
  readonly tablesCrc: number;
}

export function encodeMagic(): Buffer {
  const bytes = Buffer.alloc(MAGIC);
  bytes.write('RLIN', 0, 'latin1');
  bytes.writeUInt16LE(SEGMENT_VERSION, 4);
  return bytes;
}

export function encodeCommitRow(row: CommitRow): Buffer {
  const bytes = Buffer.alloc(COMMIT_ROW);
  const numbers = [row.step, row.offset, row.journalBegin, row.journalEnd];
  for (const [i, value] of numbers.entries()) bytes.writeBigUInt64LE(BigInt(value), i * 8);
  bytes.set(row.journalDigest, 32);
  bytes.writeUInt32LE(checksum(0, bytes.subarray(0, 64)), 64);
  return bytes;
}

/** Null when it does not check. */
export function decodeCommitRow(bytes: Buffer): CommitRow | null {
  if (bytes.length < COMMIT_ROW || checksum(0, bytes.subarray(0, 64)) !== bytes.readUInt32LE(64)) return null;
  const [step, offset, journalBegin, journalEnd] = [0, 8, 16, 24].map((at) => Number(bytes.readBigUInt64LE(at)));
  return {
    step: step!,
    offset: offset!,
    journalBegin: journalBegin!,
    journalEnd: journalEnd!,
    journalDigest: new Uint8Array(bytes.subarray(32, 64)),
  };
}

export function writeBlockEntry(bytes: Buffer, at: number, entry: BlockEntry): void {
  bytes.writeUInt32LE(entry.stream, at);
  bytes.writeUInt32LE(entry.postings, at + 4);
  bytes.writeBigUInt64LE(BigInt(entry.offset), at + 8);
  bytes.writeBigUInt64LE(BigInt(entry.position), at + 16);
  bytes.writeUInt32LE(entry.bytes, at + 24);
  bytes.writeUInt32LE(entry.crc, at + 28);
}

export function readBlockEntry(bytes: Buffer, at: number): BlockEntry {
  return {
    stream: bytes.readUInt32LE(at),
    postings: bytes.readUInt32LE(at + 4),
    offset: Number(bytes.readBigUInt64LE(at + 8)),
    position: Number(bytes.readBigUInt64LE(at + 16)),
    bytes: bytes.readUInt32LE(at + 24),
    crc: bytes.readUInt32LE(at + 28),
  };
}

export function encodeFooter(footer: SegmentFooter): Buffer {
  const bytes = Buffer.alloc(FOOTER);
  const { afterStep, lastStep, commits, postings, directory } = footer;
  for (const [i, value] of [afterStep, lastStep, commits, postings, directory].entries())
    bytes.writeBigUInt64LE(BigInt(value), i * 8);
  bytes.writeUInt32LE(footer.blocks, 40);
  bytes.writeUInt32LE(footer.streamBytes, 44);
  bytes.writeBigUInt64LE(BigInt(footer.headOffset), 48);
  bytes.set(footer.afterDigest, 56);
  bytes.set(footer.afterJournal, 88);
  bytes.set(footer.headDigest, 120);
  bytes.writeUInt32LE(footer.tablesCrc, 152);
  bytes.writeUInt32LE(checksum(0, bytes.subarray(0, FOOTER - 4)), FOOTER - 4);
  return bytes;
}

/** Null when it does not check. */
export function decodeFooter(bytes: Buffer): SegmentFooter | null {
  if (bytes.length < FOOTER || checksum(0, bytes.subarray(0, FOOTER - 4)) !== bytes.readUInt32LE(FOOTER - 4))
    return null;
  const number = (at: number) => Number(bytes.readBigUInt64LE(at));
  const digest = (at: number) => new Uint8Array(bytes.subarray(at, at + 32));
  return {
    afterStep: number(0),
    lastStep: number(8),
    commits: number(16),
    postings: number(24),
    directory: number(32),
    blocks: bytes.readUInt32LE(40),
    streamBytes: bytes.readUInt32LE(44),
    headOffset: number(48),
    afterDigest: digest(56),
    afterJournal: digest(88),
    headDigest: digest(120),
    tablesCrc: bytes.readUInt32LE(152),
  };
}

/** The order of the streams of every segment. */
export function compareStreams(a: StreamName, b: StreamName): number {
  return a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1;
}
