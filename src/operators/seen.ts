import { crc32 } from 'node:zlib';
import type { LogRecord } from '../log/log.ts';
import { comparePlaces, isSamePlace, type SeenRecord } from './position.ts';

const NOTHING = new Uint8Array(0);
const NULL = Uint8Array.of(0);
const BYTES = Uint8Array.of(1);

/** CRC-32 over 0 for null or 1 and the bytes, of the key and then the value. A copy of the record has the same. */
export function recordChecksum({ key, value }: Pick<LogRecord, 'key' | 'value'>): number {
  let sum = 0;
  for (const part of [key, value]) sum = crc32(part ?? NOTHING, crc32(part === null ? NULL : BYTES, sum));
  return sum;
}

/** `seen` once `record` has been read too. */
export function withSeen(seen: readonly SeenRecord[], record: LogRecord): readonly SeenRecord[] {
  const { topic, partition, offset } = record;
  const latest = { topic, partition, offset, checksum: recordChecksum(record) };
  const at = seen.findIndex((entry) => isSamePlace(entry, record));
  return at < 0 ? [...seen, latest].sort(comparePlaces) : seen.with(at, latest);
}
