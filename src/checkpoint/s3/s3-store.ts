import { beginHash } from '../background-hash.ts';
import { contentDigest } from '../blob-content.ts';
import { missingBlob, otherDigest, otherLength } from '../blob-errors.ts';
import { blobName, parseBlobName } from '../blob-name.ts';
import { type OnEffect, performed } from '../effects.ts';
import type { BlobContent, BlobRef, BlobStore, OwnedBlob } from '../store.ts';
import { readObject } from './read-object.ts';
import { parseS3Url } from './s3-address.ts';
import { openBucket, type S3Bucket, type S3Object } from './s3-client.ts';
import { isConditionFailed, isNotFound, s3Failed } from './s3-errors.ts';
import { upload } from './upload.ts';

/** Most bytes that one CopyObject takes. */
const LARGEST_COPY = 5 * 1024 ** 3;

/**
 * Blobs as objects of a bucket, each under PREFIX/SHA256-OWNER, the names of a folder's files. An object appears whole or
 * not at all, and only where there is none; another owner's copy is made by the server, without the bytes coming here.
 * A crash leaves at most an unfinished upload, which `removeUnfinished` aborts.
 *
 * Opening asks nothing of the server. Needs what S3 promises since 2020: a listing shows what was written before it.
 * @throws RepulsorError CONFIG for a URL that is none
 */
export function openS3Store(url: string, options: { readonly onEffect?: OnEffect } = {}): BlobStore {
  const address = parseS3Url(url);
  const { onEffect } = options;
  let opened: Promise<S3Bucket> | null = null;

  /** Runs an operation and says what failed, where, and what to do. */
  async function asked<T>(what: string, run: (bucket: S3Bucket) => Promise<T>): Promise<T> {
    let where = address.url;
    try {
      opened ??= openBucket(address.bucket);
      const bucket = await opened;
      where = `${address.url} (${bucket.endpoint})`;
      return await run(bucket);
    } catch (error) {
      throw s3Failed(error, what, where);
    }
  }

  const keyOf = (owned: OwnedBlob): string => `${address.prefix}${blobName(owned)}`;
  const ownedBy = ({ key }: { readonly key: string }): OwnedBlob | null =>
    parseBlobName(key.slice(address.prefix.length));

  /** The blob's copies, the latest owner's first. */
  async function copiesOf(bucket: S3Bucket, sha256: string): Promise<S3Object[]> {
    const found = (await bucket.list(`${address.prefix}${sha256}-`)).filter((object) => ownedBy(object) !== null);
    return found.sort((a, b) => ownedBy(b)!.owner - ownedBy(a)!.owner);
  }

  async function putBlob(bucket: S3Bucket, content: BlobContent, ref: BlobRef, owner: number): Promise<boolean> {
    const key = keyOf({ sha256: ref.sha256, owner });
    const copies = await copiesOf(bucket, ref.sha256);
    const own = copies.find((copy) => copy.key === key);
    if (own?.bytes === ref.bytes) return false;
    for (const copy of ref.bytes > LARGEST_COPY ? [] : copies) {
      if (copy.bytes !== ref.bytes) continue;
      if (await copied(() => performed(onEffect, 'copy-object', () => bucket.copy(copy, key)))) return false;
    }
    return upload(bucket, key, content, {
      ...(own !== undefined && { over: own.etag }),
      ...(onEffect && { onEffect }),
    });
  }

  return {
    where: address.url,
    async put(content, owner) {
      const ref: BlobRef = { sha256: await contentDigest(content), bytes: content.bytes };
      const written = await asked(`write the blob ${ref.sha256}`, (bucket) => putBlob(bucket, content, ref, owner));
      return { ref, written };
    },
    async *get(ref) {
      const what = `read the blob ${ref.sha256}`;
      const copy = (await asked(what, (bucket) => copiesOf(bucket, ref.sha256)))[0];
      if (copy === undefined) throw missingBlob(address.url, ref);
      const path = `s3://${address.bucket}/${copy.key}`;
      if (copy.bytes !== ref.bytes) throw otherLength(path, copy.bytes, ref);
      const hash = await beginHash(ref.bytes);
      const parts = await asked(what, async (bucket) => readObject(bucket, copy));
      try {
        for (;;) {
          const next = await asked(what, () => parts.next().catch(asGone));
          if (next.done) break;
          await hash.update(next.value);
          yield next.value;
        }
        const found = await hash.digest();
        if (found !== ref.sha256) throw otherDigest(path, found);
      } finally {
        await parts.return(undefined);
        await hash.abandon();
      }

      function asGone(error: unknown): never {
        throw isNotFound(error) || isConditionFailed(error) ? missingBlob(address.url, ref) : error;
      }
    },
    list: () =>
      asked('list the blobs', async (bucket) =>
        (await bucket.list(address.prefix)).map(ownedBy).filter((owned) => owned !== null),
      ),
    remove: (owned) =>
      asked(`remove the blob ${owned.sha256}`, (bucket) =>
        performed(onEffect, 'remove', () => bucket.remove(keyOf(owned)).catch(notFoundIsDone)),
      ),
    removeUnfinished: (owner) =>
      asked('abort unfinished uploads', async (bucket) => {
        const uploads = await bucket.listUploads(address.prefix);
        const left = uploads.filter((found) => (ownedBy(found)?.owner ?? Number.POSITIVE_INFINITY) <= owner);
        for (const found of left)
          await performed(onEffect, 'remove-unfinished', () => bucket.abortUpload(found).catch(notFoundIsDone));
        return left.length;
      }),
  };
}

/** False when the copy is gone or another by now: then there is none to copy from. */
async function copied(copy: () => Promise<void>): Promise<boolean> {
  try {
    await copy();
    return true;
  } catch (error) {
    if (isNotFound(error) || isConditionFailed(error)) return false;
    throw error;
  }
}

function notFoundIsDone(error: unknown): void {
  if (!isNotFound(error)) throw error;
}
