import { crc32 } from 'node:zlib';
import type { LogRecord } from '../log/log.ts';
import { comparePlaces, isSamePlace, type SeenRecord } from './position.ts';
import type { Cursor, WindowCursor } from './sample.ts';

const NOTHING = new Uint8Array(0);
const NULL = Uint8Array.of(0);
const BYTES = Uint8Array.of(1);

/** Of records that a window has named: their bytes may be gone when the next one names them again. */
const CHECKSUMS = new WeakMap<LogRecord, number>();

/** CRC-32 over 0 for null or 1 and the bytes, of the key and then the value. A copy of the record has the same. */
export function recordChecksum({ key, value }: Pick<LogRecord, 'key' | 'value'>): number {
  let sum = 0;
  for (const part of [key, value]) sum = crc32(part ?? NOTHING, crc32(part === null ? NULL : BYTES, sum));
  return sum;
}

type Last = readonly (LogRecord | SeenRecord)[];

/** `last` once `record` has been read too. */
export function withLast(last: Last, record: LogRecord): Last {
  const at = last.findIndex((entry) => isSamePlace(entry, record));
  return at < 0 ? [...last, record].sort(comparePlaces) : last.with(at, record);
}

/** Checksums are made here, once a window, and not of each record: most are never the last that a position names. */
export function windowCursor({ last, ...cursor }: Cursor): WindowCursor {
  const seen = last.map((entry): SeenRecord => {
    if ('checksum' in entry) return entry;
    const { topic, partition, offset } = entry;
    const checksum = CHECKSUMS.get(entry) ?? recordChecksum(entry);
    CHECKSUMS.set(entry, checksum);
    return { topic, partition, offset, checksum };
  });
  return { ...cursor, seen };
}
