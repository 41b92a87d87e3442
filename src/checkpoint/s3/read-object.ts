import { setTimeout as sleep } from 'node:timers/promises';
import type { S3Bucket, S3Object } from './s3-client.ts';
import type { SdkError } from './s3-errors.ts';

/** Read at once, and so many of them ahead: one connection alone rarely fills the line. */
const RANGE_BYTES = 8 * 1024 * 1024;
const RANGES_AT_ONCE = 4;
/** The SDK tries a request again, but not the body that breaks off after it: pauses before the next tries, in ms. */
const PAUSES = [200, 1_000, 5_000];

/** The object's bytes in order, read in ranges side by side, each checked for its length. Memory is four ranges. */
export async function* readObject(bucket: S3Bucket, object: S3Object): AsyncGenerator<Uint8Array, undefined> {
  const stop = new AbortController();
  const ahead: Promise<Uint8Array>[] = [];
  let begin = 0;
  const start = () => {
    if (begin >= object.bytes) return;
    const end = Math.min(object.bytes, begin + RANGE_BYTES);
    const range = readRange(bucket, object, begin, end, stop.signal);
    range.catch(() => undefined); // told when its turn comes; after an earlier error, never
    ahead.push(range);
    begin = end;
  };
  try {
    for (let i = 0; i < RANGES_AT_ONCE; i++) start();
    for (let next = ahead.shift(); next !== undefined; next = ahead.shift()) {
      const bytes = await next;
      start();
      yield bytes;
    }
  } finally {
    stop.abort();
  }
}

async function readRange(
  bucket: S3Bucket,
  object: S3Object,
  begin: number,
  end: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  for (let attempt = 0; ; attempt++) {
    try {
      const bytes = await bucket.read(object, begin, end, signal);
      if (bytes.length === end - begin) return bytes;
      throw Object.assign(new Error(`${bytes.length} of ${end - begin} bytes came`), { code: 'ECONNRESET' });
    } catch (error) {
      // What the server answered (no such object, no access) it would answer again.
      const answered = ((error as SdkError).$metadata?.httpStatusCode ?? 500) < 500;
      if (signal.aborted || answered || attempt === PAUSES.length) throw error;
      await sleep(PAUSES[attempt], undefined, { signal });
    }
  }
}
