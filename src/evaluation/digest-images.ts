import { createHash } from 'node:crypto';
import type { ImageSet } from './image-set.ts';

/** SHA-256 of a set's images and labels as they are measured: whatever brought them, the same images have the same digest. */
export async function digestImages(set: ImageSet): Promise<string> {
  const hash = createHash('sha256').update(`${set.shape}\n`);
  for await (const { images, labels } of set.chunks()) {
    hash.update(new Uint8Array(images.buffer, images.byteOffset, images.byteLength));
    hash.update(new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength));
  }
  return hash.digest('hex');
}
