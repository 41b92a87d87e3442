import { randomUUID } from 'node:crypto';
import { type FileHandle, link, mkdir, open, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RepulsorError } from '../errors.ts';
import { isCode, removeIfThere, syncFolder } from '../files/durable-file.ts';
import { beginHash } from './background-hash.ts';
import { contentDigest, groups } from './blob-content.ts';
import { missingBlob, otherDigest, otherLength } from './blob-errors.ts';
import { blobName, parseBlobName } from './blob-name.ts';
import { type OnEffect, performed } from './effects.ts';
import type { BlobContent, BlobRef, BlobStore, OwnedBlob } from './store.ts';

/** A file being written: by whom (earlier versions did not say), and a UUID. */
const TEMPORARY_NAME = /^writing-(?:([0-9]{1,16})-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Blobs as files of one folder, named SHA256-OWNER. The owners of a blob have hard links to one file where the file system
 * allows. A blob appears under its name in one step, and only when its bytes are on the disk; a crash leaves at most a file
 * `writing-OWNER-...`, which `removeUnfinished` removes.
 */
export async function openFolderStore(
  folder: string,
  options: { readonly onEffect?: OnEffect } = {},
): Promise<BlobStore> {
  await guarded(folder, 'make the folder', () => mkdir(folder, { recursive: true }));
  const { onEffect } = options;
  return {
    where: folder,
    async put(content, owner) {
      const ref: BlobRef = { sha256: await contentDigest(content), bytes: content.bytes };
      const path = blobPath(folder, { sha256: ref.sha256, owner });
      return guarded(path, 'write the blob', async () => {
        if (await linkWhole(folder, ref, path, onEffect)) return { ref, written: false };
        await writeWhole(folder, { sha256: ref.sha256, owner }, content, onEffect);
        return { ref, written: true };
      });
    },
    async *get(ref) {
      const copy = (await ownersOf(folder, ref.sha256))[0];
      if (copy === undefined) throw missingBlob(folder, ref);
      const path = blobPath(folder, copy);
      const file = await openBlob(path, () => missingBlob(folder, ref));
      try {
        yield* checkedChunks(file, ref, path);
      } finally {
        await file.close();
      }
    },
    list: () => ownedBlobs(folder),
    async remove(owned) {
      const path = blobPath(folder, owned);
      await guarded(path, 'remove the blob', () => performed(onEffect, 'remove', () => removeIfThere(path)));
    },
    async removeUnfinished(owner) {
      const names = await namesIn(folder);
      const left = names.filter(
        (name) => Number(TEMPORARY_NAME.exec(name)?.[1] ?? 0) <= owner && TEMPORARY_NAME.test(name),
      );
      for (const name of left) {
        const path = join(folder, name);
        await guarded(path, 'remove', () => performed(onEffect, 'remove-unfinished', () => removeIfThere(path)));
      }
      return left.length;
    },
  };
}

const blobPath = (folder: string, owned: OwnedBlob): string => join(folder, blobName(owned));

const namesIn = (folder: string): Promise<string[]> => guarded(folder, 'list the folder', () => readdir(folder));

async function ownedBlobs(folder: string): Promise<OwnedBlob[]> {
  return (await namesIn(folder)).map(parseBlobName).filter((owned) => owned !== null);
}

/** The latest owner first. */
async function ownersOf(folder: string, sha256: string): Promise<OwnedBlob[]> {
  const owned = (await ownedBlobs(folder)).filter((blob) => blob.sha256 === sha256);
  return owned.sort((a, b) => b.owner - a.owner);
}

/** Whether the blob is there under `path` now, without its bytes having been written. */
async function linkWhole(folder: string, ref: BlobRef, path: string, onEffect?: OnEffect): Promise<boolean> {
  for (const copy of await ownersOf(folder, ref.sha256)) {
    const there = blobPath(folder, copy);
    if ((await sizeOf(there)) !== ref.bytes) continue;
    if (there !== path) {
      try {
        await performed(onEffect, 'link', () => link(there, path));
      } catch (error) {
        if (CANNOT_LINK.has((error as NodeJS.ErrnoException).code ?? '')) continue;
        throw error;
      }
    }
    // A crash may have come between the name and this, so it is done for a name that was there as well.
    await performed(onEffect, 'fsync-folder', () => syncFolder(folder));
    return true;
  }
  return false;
}

/** Gone meanwhile, there meanwhile with another length, or a file system without hard links: then it is written. */
const CANNOT_LINK = new Set(['ENOENT', 'EEXIST', 'EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK']);

async function writeWhole(folder: string, owned: OwnedBlob, content: BlobContent, onEffect?: OnEffect): Promise<void> {
  const temporary = join(folder, `writing-${owned.owner}-${randomUUID()}`);
  try {
    do {
      const file = await open(temporary, 'wx');
      try {
        for (const group of groups(content)) await performed(onEffect, 'write', () => writeAll(file, group));
        await performed(onEffect, 'fsync', () => file.sync());
      } finally {
        await file.close();
      }
    } while (!(await performed(onEffect, 'rename', () => renamed(temporary, blobPath(folder, owned)))));
    await performed(onEffect, 'fsync-folder', () => syncFolder(folder));
  } catch (cause) {
    await removeIfThere(temporary).catch(() => undefined); // the first error is the one to tell
    throw cause;
  }
}

/** False when the file is gone: a successor took this writer for dead, and removed what it had begun. */
async function renamed(temporary: string, path: string): Promise<boolean> {
  try {
    await rename(temporary, path);
    return true;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false;
    throw error;
  }
}

async function writeAll(file: FileHandle, pieces: readonly Uint8Array[]): Promise<void> {
  for (let left = pieces; left.length > 0; ) {
    const { bytesWritten } = await file.writev(left);
    left = after(bytesWritten, left);
  }
}

/** What is left of the pieces after the first `bytes` bytes of them. */
function after(bytes: number, pieces: readonly Uint8Array[]): Uint8Array[] {
  const left = [...pieces];
  while (left.length > 0 && left[0]!.length <= bytes) bytes -= left.shift()!.length;
  if (left.length > 0) left[0] = left[0]!.subarray(bytes);
  return left;
}

async function openBlob(path: string, gone: () => RepulsorError): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw isCode(cause, 'ENOENT') ? gone() : failed(path, 'open the blob', cause);
  }
}

async function* checkedChunks(file: FileHandle, ref: BlobRef, path: string): AsyncGenerator<Uint8Array> {
  const { size } = await file.stat();
  if (size !== ref.bytes) throw otherLength(path, size, ref);
  const hash = await beginHash(ref.bytes);
  try {
    for (let at = 0; at < ref.bytes; ) {
      const chunk = await hash.fill(async (buffer) => {
        const { bytesRead } = await guarded(path, 'read the blob', () => file.read(buffer, 0, buffer.length, at));
        return bytesRead;
      });
      if (chunk.length === 0) throw otherLength(path, at, ref);
      at += chunk.length;
      yield chunk;
    }
    const found = await hash.digest();
    if (found !== ref.sha256) throw otherDigest(path, found);
  } finally {
    await hash.abandon();
  }
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

async function guarded<T>(path: string, what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw cause instanceof RepulsorError ? cause : failed(path, what, cause);
  }
}

function failed(path: string, what: string, cause: unknown): RepulsorError {
  const code = (cause as NodeJS.ErrnoException).code;
  const full = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
  return new RepulsorError('STORE_FAILED', `cannot ${what} ${path}: ${(cause as Error).message}`, {
    hint: full
      ? 'The disk, or a quota on it, is full. The last commit is intact: free space and start again.'
      : 'Check that the folder exists, is writable and that its disk is sound.',
    cause,
  });
}
