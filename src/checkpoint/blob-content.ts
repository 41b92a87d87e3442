import { hashOf } from './background-hash.ts';
import type { BlobContent } from './store.ts';

/** Bytes that are written at once. */
const GROUP = 4 * 1024 * 1024;

/** The bytes in groups of GROUP, the last one smaller, each of them views: a model has hundreds of tensors that are smaller. */
export function* groups(content: BlobContent): Generator<Uint8Array[]> {
  let group: Uint8Array[] = [];
  let room = GROUP;
  for (const chunk of content.chunks())
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + room);
      group.push(piece);
      at += piece.length;
      room -= piece.length;
      if (room > 0) continue;
      yield group;
      [group, room] = [[], GROUP];
    }
  if (group.length > 0) yield group;
}

/** SHA-256, hex. */
export function contentDigest(content: BlobContent): Promise<string> {
  return hashOf(content.chunks(), content.bytes);
}
