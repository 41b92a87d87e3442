import { type OnEffect, performed } from '../effects.ts';
import type { BlobContent } from '../store.ts';
import type { S3Bucket, S3Upload } from './s3-client.ts';
import { isConditionFailed, isConflict, isUploadGone } from './s3-errors.ts';

/** What is larger goes up in parts of at least this: S3 takes no smaller than 5 MiB, and no more than 10,000. */
const PART_BYTES = 16 * 1024 * 1024;
const MOST_PARTS = 10_000;
/** Parts under way at a time: with their bytes, what an upload holds in memory. */
const PARTS_AT_ONCE = 4;
/** An upload that a successor aborted, or that met another write of its key, is begun again so often. */
const ATTEMPTS = 3;

/**
 * Writes an object where there is none, or over the one with the ETag `over`. Returns false when another write of the
 * same key came first: names are digests, so its bytes are these.
 */
export async function upload(
  bucket: S3Bucket,
  key: string,
  content: BlobContent,
  { over, onEffect }: { readonly over?: string; readonly onEffect?: OnEffect },
): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      if (content.bytes <= PART_BYTES) {
        const bytes = Buffer.concat([...content.chunks()]);
        await performed(onEffect, 'put-object', () => bucket.put(key, bytes, over));
      } else await uploadInParts(bucket, key, content, over, onEffect);
      return true;
    } catch (error) {
      // Also when the answer to a first try was lost, and the SDK tried again.
      if (isConditionFailed(error) && over === undefined) return false;
      if (attempt === ATTEMPTS || !(isConflict(error) || isUploadGone(error))) throw error;
    }
  }
}

async function uploadInParts(
  bucket: S3Bucket,
  key: string,
  content: BlobContent,
  over: string | undefined,
  onEffect: OnEffect | undefined,
): Promise<void> {
  const begun = await performed(onEffect, 'create-upload', () => bucket.createUpload(key));
  try {
    const etags = await uploadParts(bucket, begun, content, onEffect);
    await performed(onEffect, 'complete-upload', () => bucket.completeUpload(begun, etags, over));
  } catch (error) {
    await bucket.abortUpload(begun).catch(() => undefined); // the first error is the one to tell
    throw error;
  }
}

async function uploadParts(
  bucket: S3Bucket,
  begun: S3Upload,
  content: BlobContent,
  onEffect: OnEffect | undefined,
): Promise<string[]> {
  const parts = inParts(content, Math.max(PART_BYTES, Math.ceil(content.bytes / MOST_PARTS)));
  const etags: string[] = [];
  let failed = false;
  let count = 0;
  const worker = async () => {
    while (!failed) {
      const { value: bytes, done } = parts.next();
      if (done) return;
      const number = ++count;
      try {
        etags[number - 1] = await performed(onEffect, 'upload-part', () => bucket.uploadPart(begun, number, bytes));
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  // All are waited for: a part that came in after the abort would stay there.
  const ends = await Promise.allSettled(Array.from({ length: PARTS_AT_ONCE }, worker));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return etags;
}

/** Pieces of exactly `size` bytes, the last one smaller. Copies: a socket may hold one for longer than the upload does. */
function* inParts(content: BlobContent, size: number): Generator<Uint8Array> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  for (const chunk of content.chunks()) {
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + size - bytes);
      held.push(piece);
      bytes += piece.length;
      at += piece.length;
      if (bytes < size) continue;
      yield Buffer.concat(held);
      held = [];
      bytes = 0;
    }
  }
  if (bytes > 0) yield Buffer.concat(held);
}
