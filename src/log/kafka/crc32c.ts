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
  const t = TABLE;
  const { length } = bytes;
  let sum = -1;
  let at = 0;
  for (; at < length && ((bytes.byteOffset + at) & 3) !== 0; at++) sum = (sum >>> 8) ^ t[(sum ^ bytes[at]!) & 0xff]!;
  if (at === length) return (sum ^ -1) >>> 0; // where words may not begin
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
  return (sum ^ -1) >>> 0;
}
