import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { BlobContent } from './store.ts';

/** Bytes that are read, hashed and written at once. */
export const SLICE = 4 * 1024 * 1024;

/** The bytes in pieces of at most `most`, all views. */
export function* slices(content: BlobContent, most = SLICE): Generator<Uint8Array> {
  for (const chunk of content.chunks())
    for (let at = 0; at < chunk.length; at += most) yield chunk.subarray(at, at + most);
}

/** SHA-256, hex. Hashes in slices, giving way in between: heartbeats and metrics go on while gigabytes are hashed. */
export async function contentDigest(content: BlobContent): Promise<string> {
  const hash = createHash('sha256');
  for (const slice of slices(content)) {
    hash.update(slice);
    await setImmediate();
  }
  return hash.digest('hex');
}
