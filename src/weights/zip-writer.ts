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

type Field = readonly [width: 2 | 4 | 8, value: number];

/** Little-endian. */
function bytesOf(...fields: readonly Field[]): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((sum, [width]) => sum + width, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [width, value] of fields) {
    if (width === 2) view.setUint16(at, value, true);
    else if (width === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    at += width;
  }
  return bytes;
}

/** What both headers say of an entry: flags, method (stored), time, date, CRC, both sizes, length of the name. */
const description = ({ name, data }: Placed, crc: number): readonly Field[] => {
  const { length } = data;
  return [
    [2, 0],
    [2, 0],
    [2, 0],
    [2, FIRST_DATE],
    [4, crc],
    [4, length],
    [4, length],
    [2, name.length],
  ];
};

function localHeader(entry: Placed, crc: number): Uint8Array {
  const { name, padding } = entry;
  const head = bytesOf([4, 0x04034b50], [2, 20], ...description(entry, crc), [2, 4 + padding]);
  return Buffer.concat([head, name, bytesOf([2, PADDING_ID], [2, padding]), new Uint8Array(padding)]);
}

function centralHeader(entry: Placed, crc: number): Uint8Array {
  const { name, local } = entry;
  const extra = local >= MOST_32 ? bytesOf([2, 1], [2, 8], [8, local]) : new Uint8Array(0);
  const begin = bytesOf([4, 0x02014b50], [2, VERSION_64], [2, VERSION_64], ...description(entry, crc), [
    2,
    extra.length,
  ]);
  // Comment, disk, internal and external attributes: none.
  const place = bytesOf([2, 0], [2, 0], [2, 0], [4, 0], [4, Math.min(local, MOST_32)]);
  return Buffer.concat([begin, place, name, extra]);
}

function end(central: number, bytes: number, entries: number, large: boolean): Uint8Array {
  const few = Math.min(entries, 0xffff);
  const counts = bytesOf([4, 0x06054b50], [2, 0], [2, 0], [2, few], [2, few]);
  const place = bytesOf([4, Math.min(bytes, MOST_32)], [4, Math.min(central, MOST_32)], [2, 0]);
  if (!large) return Buffer.concat([counts, place]);
  const begin64 = bytesOf([4, 0x06064b50], [8, 44], [2, VERSION_64], [2, VERSION_64], [4, 0], [4, 0]);
  const place64 = bytesOf([8, entries], [8, entries], [8, bytes], [8, central]);
  const locator = bytesOf([4, 0x07064b50], [4, 0], [8, central + bytes], [4, 1]);
  return Buffer.concat([begin64, place64, locator, counts, place]);
}
