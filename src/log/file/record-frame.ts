import { RepulsorError } from '../../errors.ts';
import type { LogRecord, NewRecord } from '../log.ts';
import { checksum } from './crc.ts';

/*
 * record    = bytes:u32 crc:u32 body                  bytes: length of body; crc: of body, seeded by the segment
 * body      = timestamp:i64 keyBytes:i32 valueBytes:i32 headerCount:u16 key value header*
 * header    = nameBytes:u16 valueBytes:u32 name value  name: UTF-8
 *
 * Little-endian. A length of -1 is null. A record does not hold its offset: that is its block's base plus its index.
 */

export const RECORD_PREFIX = 8;
const BODY_PREFIX = 18;

/** Bytes the record takes as a frame. @throws RepulsorError BAD_RECORD when a header name or the number of headers is too large. */
export function recordFrameBytes(record: NewRecord): number {
  let bytes = RECORD_PREFIX + BODY_PREFIX + (record.key?.byteLength ?? 0) + (record.value?.byteLength ?? 0);
  const headers = Object.entries(record.headers ?? {});
  for (const [name, value] of headers) {
    const nameBytes = Buffer.byteLength(name);
    if (nameBytes > 0xffff) throw tooLarge(`a header name of ${nameBytes} bytes; the limit is 65535`);
    bytes += 6 + nameBytes + value.byteLength;
  }
  if (headers.length > 0xffff) throw tooLarge(`${headers.length} headers; the limit is 65535`);
  if (bytes > 0x7fffffff) throw tooLarge(`${bytes} bytes; the limit is 2147483647`);
  return bytes;
}

function tooLarge(what: string): RepulsorError {
  return new RepulsorError('BAD_RECORD', `a record to append has ${what}`, { hint: 'Split it into smaller records.' });
}

/** Writes the frame at `at` and returns the position behind it. `target` must have room (`recordFrameBytes`). */
export function writeRecordFrame(
  target: Buffer,
  at: number,
  record: NewRecord,
  timestamp: number,
  seed: number,
): number {
  const { key = null, value } = record;
  const headers = Object.entries(record.headers ?? {});
  const body = at + RECORD_PREFIX;
  target.writeBigInt64LE(BigInt(timestamp), body);
  target.writeInt32LE(key === null ? -1 : key.byteLength, body + 8);
  target.writeInt32LE(value === null ? -1 : value.byteLength, body + 12);
  target.writeUInt16LE(headers.length, body + 16);
  let position = body + BODY_PREFIX;
  for (const bytes of [key, value]) {
    if (bytes === null) continue;
    target.set(bytes, position);
    position += bytes.byteLength;
  }
  for (const [name, bytes] of headers) {
    const nameBytes = target.write(name, position + 6);
    target.writeUInt16LE(nameBytes, position);
    target.writeUInt32LE(bytes.byteLength, position + 2);
    target.set(bytes, position + 6 + nameBytes);
    position += 6 + nameBytes + bytes.byteLength;
  }
  target.writeUInt32LE(position - body, at);
  target.writeUInt32LE(checksum(seed, target.subarray(body, position)), at + 4);
  return position;
}

/** Whether `frame` (prefix and body, exactly) is what was written. */
export function recordFrameValid(frame: Buffer, seed: number): boolean {
  return checksum(seed, frame.subarray(RECORD_PREFIX)) === frame.readUInt32LE(4);
}

/** The record in a valid frame, its bytes views of the frame. */
export function readRecordFrame(frame: Buffer, topic: string, partition: number, offset: number): LogRecord {
  const timestamp = Number(frame.readBigInt64LE(RECORD_PREFIX));
  const keyBytes = frame.readInt32LE(RECORD_PREFIX + 8);
  const valueBytes = frame.readInt32LE(RECORD_PREFIX + 12);
  const headerCount = frame.readUInt16LE(RECORD_PREFIX + 16);
  let position = RECORD_PREFIX + BODY_PREFIX;
  const take = (bytes: number): Uint8Array => {
    position += bytes;
    return new Uint8Array(frame.buffer, frame.byteOffset + position - bytes, bytes);
  };
  const key = keyBytes < 0 ? null : take(keyBytes);
  const value = valueBytes < 0 ? null : take(valueBytes);
  const headers: [string, Uint8Array][] = [];
  for (let index = 0; index < headerCount; index++) {
    const nameBytes = frame.readUInt16LE(position);
    const bytes = frame.readUInt32LE(position + 2);
    position += 6;
    const name = frame.toString('utf8', position, position + nameBytes);
    position += nameBytes;
    headers.push([name, take(bytes)]);
  }
  return { topic, partition, offset, timestamp, key, value, headers: Object.fromEntries(headers) };
}
