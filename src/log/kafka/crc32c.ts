import { LANES, type Lanes, lanesOf } from './crc32c-lanes.ts';

const POLYNOMIAL = 0x82f63b78; // Castagnoli, reflected (RFC 3720, B.4)

/**
 * Sixteen tables, so that sixteen bytes are taken at a time ("slicing", Kounavis and Berry 2005): what a byte does that
 * has t more bytes behind it stands at 256 t + byte.
 */
const TABLE: Int32Array = (() => {
  const table = new Int32Array(16 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 1 ? (sum >>> 1) ^ POLYNOMIAL : sum >>> 1;
    table[byte] = sum;
  }
  for (let at = 256; at < table.length; at++) {
    const before = table[at - 256]!;
    table[at] = (before >>> 8) ^ table[before & 0xff]!;
  }
  return table;
})();

/** CRC-32C, the checksum of Kafka's record batches (zlib's crc32 has another polynomial). Little-endian machines only, as TensorFlow. */
export function crc32c(bytes: Uint8Array): number {
  let register = -1;
  let at = 0;
  if (bytes.length >= LANES * Math.min(...STRETCHES)) {
    lanes ??= { of: lanesOf(TABLE.subarray(0, 256)), behind: STRETCHES.map(behind) };
    for (const [i, stretch] of STRETCHES.entries()) {
      const block = LANES * stretch;
      for (; lanes.of !== null && at + block <= bytes.length; at += block)
        register = inLanes(lanes.of, lanes.behind[i]!, stretch, register, bytes.subarray(at, at + block));
    }
  }
  return (byTables(register, at === 0 ? bytes : bytes.subarray(at)) ^ -1) >>> 0;
}

/** The register behind the bytes. */
function byTables(register: number, bytes: Uint8Array): number {
  const t = TABLE;
  const { length } = bytes;
  let sum = register;
  let at = 0;
  for (; at < length && ((bytes.byteOffset + at) & 3) !== 0; at++) sum = (sum >>> 8) ^ t[(sum ^ bytes[at]!) & 0xff]!;
  if (at === length) return sum; // where words may not begin
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (length - at) >>> 2);
  let word = 0;
  for (; word + 4 <= words.length; word += 4) {
    const a = words[word]! ^ sum;
    const b = words[word + 1]!;
    const c = words[word + 2]!;
    const d = words[word + 3]!;
    sum =
      t[3840 + (a & 0xff)]! ^
      t[3584 + ((a >>> 8) & 0xff)]! ^
      t[3328 + ((a >>> 16) & 0xff)]! ^
      t[3072 + (a >>> 24)]! ^
      t[2816 + (b & 0xff)]! ^
      t[2560 + ((b >>> 8) & 0xff)]! ^
      t[2304 + ((b >>> 16) & 0xff)]! ^
      t[2048 + (b >>> 24)]! ^
      t[1792 + (c & 0xff)]! ^
      t[1536 + ((c >>> 8) & 0xff)]! ^
      t[1280 + ((c >>> 16) & 0xff)]! ^
      t[1024 + (c >>> 24)]! ^
      t[768 + (d & 0xff)]! ^
      t[512 + ((d >>> 8) & 0xff)]! ^
      t[256 + ((d >>> 16) & 0xff)]! ^
      t[d >>> 24]!;
  }
  for (at += 4 * word; at < length; at++) sum = (sum >>> 8) ^ t[(sum ^ bytes[at]!) & 0xff]!;
  return sum;
}

/** Bytes of a lane, as long as so many are left for each. Multiples of 16. */
const STRETCHES = [4096, 256] as const;
/** Made at the first long message. */
let lanes: { readonly of: Lanes | null; readonly behind: readonly Int32Array[] } | null = null;

/** A register is linear in what it began with and in the bytes: each lane begins with nothing but the first, and the sums are put together. */
function inLanes(of: Lanes, after: Int32Array, stretch: number, register: number, block: Uint8Array): number {
  of.data.set(block);
  of.registers.fill(0);
  of.registers[0] = register;
  of.run(stretch);
  let sum = 0;
  for (const lane of of.registers)
    sum =
      after[sum & 0xff]! ^
      after[256 + ((sum >>> 8) & 0xff)]! ^
      after[512 + ((sum >>> 16) & 0xff)]! ^
      after[768 + (sum >>> 24)]! ^
      lane;
  return sum;
}

/** What `zeros` bytes of zero make of a register: of its byte number i, at 256 i + byte. */
function behind(zeros: number): Int32Array {
  const ofBit = Int32Array.from({ length: 32 }, (_, bit) => {
    let sum = 1 << bit;
    for (let i = 0; i < zeros; i++) sum = (sum >>> 8) ^ TABLE[sum & 0xff]!;
    return sum;
  });
  return Int32Array.from({ length: 4 * 256 }, (_, at) => {
    let sum = 0;
    for (let bit = 0; bit < 8; bit++) if ((at >> bit) & 1) sum ^= ofBit[8 * (at >> 8) + bit]!;
    return sum;
  });
}
