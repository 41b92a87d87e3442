import { crc32, inflateSync } from 'node:zlib';

/*
 * file   = 89 "PNG\r\n" 1A 0A  chunk*                     the first is IHDR, the last IEND
 * chunk  = length:u32 type:4 data crc:u32                 crc: of type and data; big-endian
 * IHDR   = width:u32 height:u32 depth:u8 colour:u8 compression:u8 filter:u8 interlace:u8
 * IDAT*  = a zlib stream of rows:  row = filter:u8 byte{width * channels}
 * filter = 0: the byte itself; else added to a neighbour: 1 left, 2 above, 3 their mean, 4 the nearest of left, above and
 *          above left to left + above - above left (Paeth)
 *
 * Source: Portable Network Graphics, third edition (W3C), chapters 5, 7, 9 and 11.
 */

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
/** Colour type by channels. */
const COLOUR: Readonly<Record<number, number>> = { 1: 0, 3: 2, 4: 6 };
/** Chunks that change no pixel. */
const SKIPPED = new Set(['pHYs', 'tEXt', 'tIME', 'gAMA', 'cHRM', 'sRGB']);
const CHUNK_OVERHEAD = 12;
const IHDR_BYTES = 13;

/**
 * Of larger images the main thread would be held up for too long: they are decoded elsewhere (image-file.ts). A small one
 * takes a tenth here of what handing it to libvips alone takes.
 */
const MOST_BYTES = 2 ** 14;

/**
 * Decodes a small PNG file of exactly `shape` (height, width, channels) and 8 bits a channel, not interlaced, without a palette,
 * a colour profile or transparency by colour. Null for every other file, and for one that is damaged in any way: whoever asked
 * gives it to the decoder that knows them all, and whose verdict counts.
 */
export function readSmallPng(
  bytes: Uint8Array,
  [height, width, channels]: readonly [height: number, width: number, channels: number],
): Uint8Array | null {
  const row = width * channels;
  if (height * row > MOST_BYTES) return null;
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!file.subarray(0, SIGNATURE.length).equals(SIGNATURE)) return null;
  const parts: Buffer[] = [];
  let at = SIGNATURE.length;
  for (let index = 0; ; index++) {
    if (at + CHUNK_OVERHEAD > file.length) return null;
    const length = file.readUInt32BE(at);
    const end = at + CHUNK_OVERHEAD + length;
    if (end > file.length) return null;
    if (crc32(file.subarray(at + 4, end - 4)) !== file.readUInt32BE(end - 4)) return null;
    const type = file.toString('latin1', at + 4, at + 8);
    const data = file.subarray(at + 8, end - 4);
    if (index === 0) {
      if (type !== 'IHDR' || !isPlain(data, height, width, channels)) return null;
    } else if (type === 'IDAT') parts.push(data);
    else if (type === 'IEND') {
      if (end !== file.length || length !== 0) return null;
      break;
    } else if (!SKIPPED.has(type)) return null;
    at = end;
  }
  const rows = inflated(parts.length === 1 ? parts[0]! : Buffer.concat(parts), height * (row + 1));
  return rows === null ? null : unfiltered(rows, height, row, channels);
}

function isPlain(header: Buffer, height: number, width: number, channels: number): boolean {
  return (
    header.length === IHDR_BYTES &&
    header.readUInt32BE(0) === width &&
    header.readUInt32BE(4) === height &&
    header[8] === 8 &&
    header[9] === COLOUR[channels] &&
    header.readUIntBE(10, 3) === 0
  );
}

function inflated(stream: Buffer, length: number): Buffer | null {
  try {
    const rows = inflateSync(stream, { maxOutputLength: length, chunkSize: Math.max(64, length) });
    return rows.length === length ? rows : null;
  } catch {
    return null;
  }
}

function unfiltered(rows: Buffer, height: number, row: number, channels: number): Uint8Array | null {
  const out = new Uint8Array(height * row);
  for (let y = 0, from = 0, to = 0; y < height; y++, to += row) {
    const filter = rows[from++]!;
    if (filter > 4) return null;
    const first = y === 0;
    for (let x = 0; x < row; x++) {
      const byte = rows[from++]!;
      if (filter === 0) {
        out[to + x] = byte;
        continue;
      }
      const left = x < channels ? 0 : out[to + x - channels]!;
      const above = first ? 0 : out[to + x - row]!;
      if (filter === 1) out[to + x] = byte + left;
      else if (filter === 2) out[to + x] = byte + above;
      else if (filter === 3) out[to + x] = byte + ((left + above) >> 1);
      else out[to + x] = byte + paeth(left, above, first || x < channels ? 0 : out[to + x - row - channels]!);
    }
  }
  return out;
}

/** The nearest to left + above - aboveLeft; of equally near ones the first in this order. */
function paeth(left: number, above: number, aboveLeft: number): number {
  const toLeft = Math.abs(above - aboveLeft);
  const toAbove = Math.abs(left - aboveLeft);
  const toAboveLeft = Math.abs(left + above - 2 * aboveLeft);
  if (toLeft <= toAbove && toLeft <= toAboveLeft) return left;
  return toAbove <= toAboveLeft ? above : aboveLeft;
}
