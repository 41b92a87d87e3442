import { badWeights } from './bad-weights.ts';
import type { RandomAccess } from './random-access.ts';

/**
 * The directory of a zip archive (PKWARE APPNOTE 6.3.10), as far as PyTorch writes it: entries stored without compression.
 * All numbers are little-endian.
 *
 *   archive  := (local data)* central* [end64 locator64] end
 *   local    := 0x04034b50 version:2 flags:2 method:2 time:4 crc:4 packed:4 size:4 name:2 extra:2 NAME EXTRA
 *   central  := 0x02014b50 made:2 version:2 flags:2 method:2 time:4 crc:4 packed:4 size:4 name:2 extra:2 comment:2 disk:2
 *               internal:2 external:4 local:4 NAME EXTRA COMMENT
 *   end64    := 0x06064b50 length:8 made:2 version:2 disk:4 disk:4 here:8 entries:8 bytes:8 central:8
 *   locator64:= 0x07064b50 disk:4 end64:8 disks:4
 *   end      := 0x06054b50 disk:2 disk:2 here:2 entries:2 bytes:4 central:4 comment:2 COMMENT
 *   EXTRA    := (id:2 length:2 ...)*; id 1 holds, 8 bytes each and in this order, the size, packed and local that are 2^32-1
 */
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const IN_EXTRA = 0xffffffff;
const END_BYTES = 22;
const MOST_COMMENT = 65_535;
/** A checkpoint has some thousands of entries of a hundred bytes. */
const MOST_DIRECTORY = 64 * 2 ** 20;

export interface ZipEntry {
  readonly name: string;
  readonly bytes: number;
  /** Where its local header begins. */
  readonly local: number;
}

export function isZip(first4: Uint8Array): boolean {
  return new DataView(first4.buffer, first4.byteOffset).getUint32(0, true) === LOCAL;
}

/** The entries by name. @throws RepulsorError BAD_RECORD */
export async function readZipDirectory(file: RandomAccess): Promise<ReadonlyMap<string, ZipEntry>> {
  const { at, bytes, entries } = await readEnd(file);
  if (bytes > MOST_DIRECTORY) throw broken(file, `its directory claims ${bytes} bytes`);
  const directory = await file.read(at, bytes);
  const view = new DataView(directory.buffer);
  const found = new Map<string, ZipEntry>();
  let from = 0;
  for (let i = 0; i < entries; i++) {
    if (from + 46 > bytes || view.getUint32(from, true) !== CENTRAL) throw broken(file, `entry ${i} is none`);
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => view.getUint16(from + field, true)) as [
      number,
      number,
      number,
    ];
    const end = from + 46 + nameBytes + extraBytes + commentBytes;
    if (end > bytes) throw broken(file, `entry ${i} goes beyond the directory`);
    const name = new TextDecoder().decode(directory.subarray(from + 46, from + 46 + nameBytes));
    if (view.getUint16(from + 10, true) !== 0 || view.getUint16(from + 8, true) & 1)
      throw broken(file, `its entry ${name} is compressed or encrypted, which PyTorch never does`);
    const extra = new DataView(directory.buffer, from + 46 + nameBytes, extraBytes);
    const [size, packed, local] = wide(
      file,
      extra,
      [24, 20, 42].map((field) => view.getUint32(from + field, true)),
    );
    if (size !== packed) throw broken(file, `its entry ${name} has two sizes, ${size} and ${packed}`);
    if (found.has(name)) throw broken(file, `its entry ${name} is there twice`);
    found.set(name, { name, bytes: size!, local: local! });
    from = end;
  }
  return found;
}

/** Where an entry's bytes begin. @throws RepulsorError BAD_RECORD */
export async function entryData(file: RandomAccess, { local, name, bytes }: ZipEntry): Promise<number> {
  const view = new DataView((await file.read(local, 30)).buffer);
  if (view.getUint32(0, true) !== LOCAL) throw broken(file, `there is no entry where ${name} should be`);
  const at = local + 30 + view.getUint16(26, true) + view.getUint16(28, true);
  if (at + bytes > file.bytes) throw broken(file, `its entry ${name} goes beyond its end`);
  return at;
}

async function readEnd(file: RandomAccess): Promise<{ at: number; bytes: number; entries: number }> {
  const tailBytes = Math.min(file.bytes, END_BYTES + MOST_COMMENT);
  const tail = new DataView((await file.read(file.bytes - tailBytes, tailBytes)).buffer);
  let end = tailBytes - END_BYTES;
  while (end >= 0 && tail.getUint32(end, true) !== END) end--;
  if (end < 0) throw broken(file, 'it has no directory at its end; it may have been cut off');
  const small = {
    entries: tail.getUint16(end + 10, true),
    bytes: tail.getUint32(end + 12, true),
    at: tail.getUint32(end + 16, true),
  };
  if (end < 20 || tail.getUint32(end - 20, true) !== LOCATOR_64) return small;
  const view = new DataView((await file.read(long(file, tail, end - 12), 56)).buffer);
  if (view.getUint32(0, true) !== END_64) throw broken(file, 'its large directory is not where it should be');
  return { entries: long(file, view, 32), bytes: long(file, view, 40), at: long(file, view, 48) };
}

/** The numbers of 4 bytes, and of 8 bytes from the extra field where they did not fit. */
function wide(file: RandomAccess, extra: DataView, small: readonly number[]): number[] {
  for (let at = 0; at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {
    if (extra.getUint16(at, true) !== 1) continue;
    let next = at + 4;
    return small.map((value) => {
      if (value !== IN_EXTRA) return value;
      if (next + 8 > extra.byteLength) throw broken(file, 'an entry has no large sizes');
      next += 8;
      return long(file, extra, next - 8);
    });
  }
  return [...small];
}

function long(file: RandomAccess, view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw broken(file, `a size of ${value}`);
  return Number(value);
}

function broken(file: RandomAccess, what: string) {
  return badWeights(file.path, `its zip archive is damaged: ${what}`, 'get the file again, or save it anew');
}
