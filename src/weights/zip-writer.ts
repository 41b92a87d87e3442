import { crc32 } from 'node:zlib';
import type { BlobContent } from '../checkpoint/store.ts';

/** An entry to be stored as it is. `data` is a view: it must not change until it is written. */
export interface StoredEntry {
  readonly name: string;
  readonly data: Uint8Array;
}

/** PyTorch maps storages into memory: they begin at multiples of this, by padding in an extra field of id "FB". */
const ALIGNMENT = 64;
const PADDING_ID = 0x4246;
const VERSION_64 = 45;
const MOST_32 = 0xffffffff;
/** 1980-01-01, the first date of a zip: the same content gives the same bytes. */
const FIRST_DATE = 0x0021;

/** A zip archive (grammar: src/weights/zip-directory.ts) of stored entries, large directory included when it needs one. */
export function zipArchive(entries: readonly StoredEntry[]): BlobContent {
  const encoder = new TextEncoder();
  let at = 0;
  const placed = entries.map(({ name, data }) => {
    if (data.length >= MOST_32) throw new RangeError(`${name} has 4 GB or more`);
    const bytes = encoder.encode(name);
    const head = at + 30 + bytes.length + 4;
    const padding = (ALIGNMENT - (head % ALIGNMENT)) % ALIGNMENT;
    const local = at;
    at = head + padding + data.length;
    return { name: bytes, data, local, padding };
  });
  const central = at;
  const directoryBytes = placed.reduce(
    (sum, { name, local }) => sum + 46 + name.length + (local >= MOST_32 ? 12 : 0),
    0,
  );
  const large = central + directoryBytes >= MOST_32 || entries.length >= 0xffff;
  return {
    bytes: central + directoryBytes + (large ? 76 : 0) + 22,
    *chunks() {
      const directory: Uint8Array[] = [];
      for (const entry of placed) {
        const crc = crc32(entry.data);
        yield localHeader(entry, crc);
        yield entry.data;
        directory.push(centralHeader(entry, crc));
      }
      yield Buffer.concat(directory);
      yield end(central, directoryBytes, entries.length, large);
    },
  };
}

interface Placed {
  readonly name: Uint8Array;
  readonly data: Uint8Array;
  readonly local: number;
  readonly padding: number;
}

/** Little-endian fields, each [bytes, value]. */
function fields(...values: readonly (readonly [2 | 4 | 8, number])[]): Uint8Array {
  const bytes = new Uint8Array(values.reduce((sum, [width]) => sum + width, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [width, value] of values) {
    if (width === 2) view.setUint16(at, value, true);
    else if (width === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    at += width;
  }
  return bytes;
}

function localHeader({ name, data, padding }: Placed, crc: number): Uint8Array {
  const head = fields(
    ...([
      [4, 0x04034b50],
      [2, 20],
      [2, 0],
      [2, 0],
      [2, 0],
      [2, FIRST_DATE],
    ] as const),
    ...([
      [4, crc],
      [4, data.length],
      [4, data.length],
      [2, name.length],
      [2, 4 + padding],
    ] as const),
  );
  return Buffer.concat([head, name, fields([2, PADDING_ID], [2, padding]), new Uint8Array(padding)]);
}

function centralHeader({ name, data, local }: Placed, crc: number): Uint8Array {
  const extra = local >= MOST_32 ? fields([2, 1], [2, 8], [8, local]) : new Uint8Array(0);
  const head = fields(
    ...([
      [4, 0x02014b50],
      [2, VERSION_64],
      [2, VERSION_64],
      [2, 0],
      [2, 0],
      [2, 0],
      [2, FIRST_DATE],
    ] as const),
    ...([
      [4, crc],
      [4, data.length],
      [4, data.length],
      [2, name.length],
      [2, extra.length],
      [2, 0],
    ] as const),
    ...([
      [2, 0],
      [2, 0],
      [4, 0],
      [4, Math.min(local, MOST_32)],
    ] as const),
  );
  return Buffer.concat([head, name, extra]);
}

function end(central: number, bytes: number, entries: number, large: boolean): Uint8Array {
  const few = Math.min(entries, 0xffff);
  const last = fields(
    ...([
      [4, 0x06054b50],
      [2, 0],
      [2, 0],
      [2, few],
      [2, few],
    ] as const),
    ...([
      [4, Math.min(bytes, MOST_32)],
      [4, Math.min(central, MOST_32)],
      [2, 0],
    ] as const),
  );
  if (!large) return last;
  const end64 = fields(
    ...([
      [4, 0x06064b50],
      [8, 44],
      [2, VERSION_64],
      [2, VERSION_64],
      [4, 0],
      [4, 0],
    ] as const),
    ...([
      [8, entries],
      [8, entries],
      [8, bytes],
      [8, central],
    ] as const),
  );
  const locator = fields([4, 0x07064b50], [4, 0], [8, central + bytes], [4, 1]);
  return Buffer.concat([end64, locator, last]);
}
