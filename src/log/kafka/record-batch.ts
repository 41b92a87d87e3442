import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { RepulsorError } from '../../errors.ts';
import type { LogRecord, NewRecord } from '../log.ts';
import { crc32c } from './crc32c.ts';
import { bytesSize, VarintReader, VarintWriter, varintSize } from './varint.ts';

/*
 * batch    = baseOffset:i64 length:i32 leaderEpoch:i32 magic:i8 crc:u32 attributes:i16 lastOffsetDelta:i32
 *            baseTimestamp:i64 maxTimestamp:i64 producerId:i64 producerEpoch:i16 baseSequence:i32 count:i32 record*
 * record   = bytes:varint attributes:i8 timestampDelta:varlong offsetDelta:varint
 *            keyBytes:varint key valueBytes:varint value headerCount:varint header*
 * header   = nameBytes:varint name valueBytes:varint value
 *
 * Kafka's record batch, magic 2 (kafka.apache.org/documentation, "Message format"). Big-endian; varints are zigzag,
 * base 128; a length of -1 is null. length counts from leaderEpoch, crc (CRC-32C) covers from attributes to the end.
 * attributes: bits 0-2 compression of the records, 3 log-append time, 4 transactional, 5 control.
 */

const HEADER = 61;
const LENGTH_FROM = 12;
const CRC_FROM = 21;
const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const decompress = promisify(gunzip);

export interface BatchHeader {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly bytes: number;
  readonly producerId: bigint;
  readonly transactional: boolean;
  /** For a control batch: whether it ends a transaction by aborting it. */
  readonly control: 'abort' | 'other' | null;
}

export interface ProducerState {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly transactional: boolean;
}

/** The header of the batch at `at`; null when less than the whole batch is there (a fetch may cut the last one). */
export function readBatchHeader(bytes: Buffer, at: number): BatchHeader | null {
  if (at + HEADER > bytes.byteLength) return null;
  const size = LENGTH_FROM + bytes.readInt32BE(at + 8);
  if (at + size > bytes.byteLength) return null;
  const baseOffset = Number(bytes.readBigInt64BE(at));
  const attributes = bytes.readInt16BE(at + 21);
  return {
    baseOffset,
    lastOffset: baseOffset + bytes.readInt32BE(at + 23),
    bytes: size,
    producerId: bytes.readBigInt64BE(at + 43),
    transactional: (attributes & 0x10) !== 0,
    control: (attributes & 0x20) === 0 ? null : isAbort(bytes, at) ? 'abort' : 'other',
  };
}

/** The key of a control record is version:i16 type:i16; type 0 is abort, 1 commit. */
function isAbort(bytes: Buffer, at: number): boolean {
  const reader = new VarintReader(bytes, at + HEADER);
  reader.varint(); // bytes
  reader.at += 1; // attributes
  reader.varint(); // timestamp delta
  reader.varint(); // offset delta
  return reader.varint() >= 4 && bytes.readInt16BE(reader.at + 2) === 0;
}

/** Iterates over the records of the whole batch at `at`, lazily; `offset` is where to begin. */
export async function readBatch(
  bytes: Buffer,
  at: number,
  topic: string,
  partition: number,
  offset: number,
): Promise<Iterator<LogRecord>> {
  const where = `the batch at offset ${bytes.readBigInt64BE(at)} of ${topic}, partition ${partition}`;
  const end = at + LENGTH_FROM + bytes.readInt32BE(at + 8);
  const magic = bytes.readInt8(at + 16);
  if (magic !== 2) {
    throw new RepulsorError('LOG_FAILED', `${where} has the old message format ${magic}`, {
      hint: 'Have the topic written anew by a producer of Kafka 0.11 or later.',
    });
  }
  if (crc32c(bytes.subarray(at + CRC_FROM, end)) !== bytes.readUInt32BE(at + 17)) {
    throw new RepulsorError('STATE_DAMAGED', `${where} does not match its checksum`, {
      hint: "The broker's disk or the network changed its bytes. Check the broker's log and its disks.",
    });
  }
  const attributes = bytes.readInt16BE(at + 21);
  const compression = COMPRESSIONS[attributes & 0x07] ?? String(attributes & 0x07);
  if (compression !== 'none' && compression !== 'gzip') {
    throw new RepulsorError('LOG_FAILED', `${where} is compressed with ${compression}`, {
      hint: "Only gzip can be read. Set the producers' compression.type, or the topic's, to gzip or none.",
    });
  }
  const raw = bytes.subarray(at + HEADER, end);
  const records = compression === 'none' ? raw : await decompress(raw);
  const base = Number(bytes.readBigInt64BE(at));
  const baseTimestamp = Number(bytes.readBigInt64BE(at + 27));
  const appendTime = (attributes & 0x08) === 0 ? null : Number(bytes.readBigInt64BE(at + 35));
  const count = bytes.readInt32BE(at + 57);
  return readRecords(records, { topic, partition, base, baseTimestamp, appendTime, count, offset });
}

interface RecordContext {
  readonly topic: string;
  readonly partition: number;
  readonly base: number;
  readonly baseTimestamp: number;
  /** The broker's clock, when the topic is set to it. */
  readonly appendTime: number | null;
  readonly count: number;
  readonly offset: number;
}

function* readRecords(bytes: Buffer, context: RecordContext): Generator<LogRecord> {
  const { topic, partition, base, baseTimestamp, appendTime, count, offset: first } = context;
  const reader = new VarintReader(bytes, 0);
  for (let index = 0; index < count; index++) {
    const size = reader.varint();
    const end = reader.at + size;
    reader.at += 1; // attributes: unused
    const timestampDelta = reader.varint();
    const timestamp = appendTime ?? baseTimestamp + timestampDelta;
    const offset = base + reader.varint();
    if (offset >= first) {
      const key = reader.bytes();
      const value = reader.bytes();
      const headers: [string, Uint8Array][] = [];
      for (let left = reader.varint(); left > 0; left--) {
        headers.push([Buffer.from(reader.bytes() ?? []).toString('utf8'), reader.bytes() ?? new Uint8Array(0)]);
      }
      yield { topic, partition, offset, timestamp, key, value, headers: Object.fromEntries(headers) };
    }
    reader.at = end;
  }
}

/** One uncompressed batch. Its offsets are the broker's to give. */
export function encodeBatch(records: readonly NewRecord[], now: number, producer: ProducerState): Buffer {
  const timestamps = records.map(({ timestamp }) => timestamp ?? now);
  const baseTimestamp = timestamps[0] ?? now;
  const sizes = records.map((record, index) => recordSize(record, index, timestamps[index]! - baseTimestamp));
  const total = sizes.reduce((sum, size) => sum + varintSize(size) + size, HEADER);
  const bytes = Buffer.allocUnsafe(total);
  bytes.writeBigInt64BE(0n, 0);
  bytes.writeInt32BE(total - LENGTH_FROM, 8);
  bytes.writeInt32BE(-1, 12); // leader epoch: the broker's to fill in
  bytes.writeInt8(2, 16);
  bytes.writeInt16BE(producer.transactional ? 0x10 : 0, 21);
  bytes.writeInt32BE(records.length - 1, 23);
  bytes.writeBigInt64BE(BigInt(baseTimestamp), 27);
  bytes.writeBigInt64BE(BigInt(timestamps.reduce((newest, timestamp) => Math.max(newest, timestamp), 0)), 35);
  bytes.writeBigInt64BE(producer.producerId, 43);
  bytes.writeInt16BE(producer.producerEpoch, 51);
  bytes.writeInt32BE(producer.baseSequence, 53);
  bytes.writeInt32BE(records.length, 57);
  const writer = new VarintWriter(bytes, HEADER);
  for (const [index, { key = null, value, headers = {} }] of records.entries()) {
    writer.varint(sizes[index]!);
    bytes[writer.at++] = 0;
    writer.varint(timestamps[index]! - baseTimestamp);
    writer.varint(index);
    writer.bytes(key);
    writer.bytes(value);
    const entries = Object.entries(headers);
    writer.varint(entries.length);
    for (const [name, bytesOf] of entries) {
      writer.bytes(Buffer.from(name));
      writer.bytes(bytesOf);
    }
  }
  bytes.writeUInt32BE(crc32c(bytes.subarray(CRC_FROM)), 17);
  return bytes;
}

/** The most bytes that a record can add to a batch. */
export function recordBytesAtMost(record: NewRecord): number {
  return recordSize(record, 0x3fffffff, Number.MAX_SAFE_INTEGER) + 5;
}

export const BATCH_OVERHEAD = HEADER;

function recordSize({ key = null, value, headers = {} }: NewRecord, index: number, timestampDelta: number): number {
  const entries = Object.entries(headers);
  let size = 1 + varintSize(timestampDelta) + varintSize(index) + bytesSize(key) + bytesSize(value);
  size += varintSize(entries.length);
  for (const [name, bytes] of entries) {
    const nameBytes = Buffer.byteLength(name);
    size += varintSize(nameBytes) + nameBytes + bytesSize(bytes);
  }
  return size;
}
