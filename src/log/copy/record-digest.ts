import { createHash, type Hash } from 'node:crypto';
import type { LogRecord } from '../log.ts';

/*
 * digest := SHA-256(record*)
 * record := offset:u64 timestamp:i64 bytes(key) bytes(value) headers:u32 (bytes(name) bytes(value))*
 * bytes  := length:i32 content               -1 for null; names are UTF-8, in the order of the record
 *
 * Little-endian. What a copy must keep: all of a record but the topic's name.
 */

/** Of the records of one partition, in order. */
export class RecordsDigest {
  readonly #hash: Hash = createHash('sha256');
  records = 0;
  bytes = 0;

  add(record: LogRecord): void {
    const encoded = recordBytes(record);
    this.#hash.update(encoded);
    this.records++;
    this.bytes += (record.key?.length ?? 0) + (record.value?.length ?? 0);
  }

  /** Hex. Nothing may be added after. */
  digest(): string {
    return this.#hash.digest('hex');
  }
}

/** All of a record but where it lies, as bytes: two are equal if and only if these are. */
export function recordBytes({ offset, timestamp, key, value, headers }: LogRecord): Buffer {
  const names = Object.entries(headers);
  const head = Buffer.alloc(16);
  head.writeBigUInt64LE(BigInt(offset), 0);
  head.writeBigInt64LE(BigInt(timestamp), 8);
  const count = Buffer.alloc(4);
  count.writeUInt32LE(names.length);
  const parts: Uint8Array[] = [head, ...withLength(key), ...withLength(value), count];
  for (const [name, content] of names) parts.push(...withLength(Buffer.from(name)), ...withLength(content));
  return Buffer.concat(parts);
}

function withLength(content: Uint8Array | null): Uint8Array[] {
  const length = Buffer.alloc(4);
  length.writeInt32LE(content === null ? -1 : content.length);
  return content === null ? [length] : [length, content];
}
