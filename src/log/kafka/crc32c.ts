const POLYNOMIAL = 0x82f63b78; // Castagnoli, reflected (RFC 3720, B.4)

/** Eight tables, so that eight bytes are taken at a time ("slicing by 8", Kounavis and Berry 2005). */
const TABLES: readonly Int32Array[] = (() => {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 1 ? (sum >>> 1) ^ POLYNOMIAL : sum >>> 1;
    tables[0]![byte] = sum;
  }
  for (let slice = 1; slice < 8; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = tables[slice - 1]![byte]!;
      tables[slice]![byte] = (before >>> 8) ^ tables[0]![before & 0xff]!;
    }
  }
  return tables;
})();

/** CRC-32C, the checksum of Kafka's record batches (zlib's crc32 has another polynomial). */
export function crc32c(bytes: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as Int32Array[];
  const { length } = bytes;
  let sum = -1;
  let at = 0;
  for (; at + 8 <= length; at += 8) {
    const low = sum ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    sum =
      t7![low & 0xff]! ^
      t6![(low >>> 8) & 0xff]! ^
      t5![(low >>> 16) & 0xff]! ^
      t4![low >>> 24]! ^
      t3![bytes[at + 4]!]! ^
      t2![bytes[at + 5]!]! ^
      t1![bytes[at + 6]!]! ^
      t0![bytes[at + 7]!]!;
  }
  for (; at < length; at++) sum = (sum >>> 8) ^ t0![(sum ^ bytes[at]!) & 0xff]!;
  return (sum ^ -1) >>> 0;
}
