import { crc32 } from 'node:zlib';

/**
 * CRC-32 (IEEE) of `bytes`, begun from `seed`: a segment's own random number goes into every checksum in it, so that
 * bytes copied from another segment, or a record that itself holds a segment's bytes, never pass for a frame.
 */
export function checksum(seed: number, ...bytes: readonly Uint8Array[]): number {
  let sum = seed;
  for (const part of bytes) sum = crc32(part, sum);
  return sum;
}
