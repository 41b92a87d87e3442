import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { RepulsorError } from '../errors.ts';
import { type OnEffect, performed } from './effects.ts';
import type { BlobContent, BlobRef, BlobStore, OwnedBlob } from './store.ts';

const SLICE = 4 * 1024 * 1024;
const BLOB_NAME = /^([0-9a-f]{64})-([0-9]{1,16})$/;
const TEMPORARY_NAME = /^writing-[0-9a-f-]{36}$/;
/** A file being written changes by the second; one untouched for this long belongs to a writer that died. */
const LEFTOVER_MS = 60 * 60 * 1000;

/**
 * Blobs as files of one folder, named SHA256-OWNER. The owners of a blob have hard links to one file where the file system
 * allows. A blob appears under its name in one step, and only when its bytes are on the disk; a crash leaves at most a file
 * `writing-...`, which a later opening removes.
 */
export async function openFolderStore(
  folder: string,
  options: { readonly onEffect?: OnEffect } = {},
): Promise<BlobStore> {
  await guarded(folder, 'make the folder', () => mkdir(folder, { recursive: true }));
  await removeLeftovers(folder);
  const { onEffect } = options;
  return {
    where: folder,
    async put(content, owner) {
      const ref: BlobRef = { sha256: await digest(content), bytes: content.bytes };
      const path = blobPath(folder, { sha256: ref.sha256, owner });
      return guarded(path, 'write the blob', async () => {
        if (await linkWhole(folder, ref, path, onEffect)) return { ref, written: false };
        await writeWhole(folder, path, content, onEffect);
        return { ref, written: true };
      });
    },
    async *get(ref) {
      const copy = (await ownersOf(folder, ref.sha256))[0];
      if (copy === undefined) throw missing(folder, ref);
      const path = blobPath(folder, copy);
      const file = await openBlob(path, () => missing(folder, ref));
      try {
        yield* checkedChunks(file, ref, path);
      } finally {
        await file.close();
      }
    },
    list: () => ownedBlobs(folder),
    async remove(owned) {
      const path = blobPath(folder, owned);
      await guarded(path, 'remove the blob', () => unlinkIfThere(path));
    },
  };
}

const blobPath = (folder: string, { sha256, owner }: OwnedBlob): string => join(folder, `${sha256}-${owner}`);

async function ownedBlobs(folder: string): Promise<OwnedBlob[]> {
  const names = await guarded(folder, 'list the folder', () => readdir(folder));
  return names.flatMap((name) => {
    const match = BLOB_NAME.exec(name);
    return match === null ? [] : [{ sha256: match[1]!, owner: Number(match[2]) }];
  });
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

/** Hashes in slices, giving way in between: heartbeats and metrics go on while gigabytes are hashed. */
async function digest(content: BlobContent): Promise<string> {
  const hash = createHash('sha256');
  for (const slice of slices(content)) {
    hash.update(slice);
    await setImmediate();
  }
  return hash.digest('hex');
}

async function writeWhole(folder: string, path: string, content: BlobContent, onEffect?: OnEffect): Promise<void> {
  const temporary = join(folder, `writing-${randomUUID()}`);
  try {
    const file = await open(temporary, 'wx');
    try {
      for (const slice of slices(content)) await performed(onEffect, 'write', () => writeAll(file, slice));
      await performed(onEffect, 'fsync', () => file.sync());
    } finally {
      await file.close();
    }
    await performed(onEffect, 'rename', () => rename(temporary, path));
    await performed(onEffect, 'fsync-folder', () => syncFolder(folder));
  } catch (cause) {
    await unlinkIfThere(temporary).catch(() => undefined); // the first error is the one to tell
    throw cause;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at, bytes.length - at)).bytesWritten;
}

/** A rename is durable only once the folder that holds the name is. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function openBlob(path: string, gone: () => RepulsorError): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw (cause as NodeJS.ErrnoException).code === 'ENOENT' ? gone() : failed(path, 'open the blob', cause);
  }
}

function missing(folder: string, { sha256 }: BlobRef): RepulsorError {
  return new RepulsorError('STATE_MISSING', `the blob ${sha256} is not in ${folder}`, {
    hint: 'Restore it from a backup, or fall back to the commit before (`repulsor train --fallback`).',
  });
}

async function* checkedChunks(file: FileHandle, ref: BlobRef, path: string): AsyncGenerator<Uint8Array> {
  const { size } = await file.stat();
  if (size !== ref.bytes) throw damagedBlob(path, `it has ${size} bytes, its commit recorded ${ref.bytes}`);
  const hash = createHash('sha256');
  const buffer = new Uint8Array(Math.min(SLICE, Math.max(1, ref.bytes)));
  for (let at = 0; at < ref.bytes; ) {
    const { bytesRead } = await guarded(path, 'read the blob', () => file.read(buffer, 0, buffer.length, at));
    if (bytesRead === 0) throw damagedBlob(path, `it ends at byte ${at} of ${ref.bytes}`);
    at += bytesRead;
    hash.update(buffer.subarray(0, bytesRead));
    yield buffer.subarray(0, bytesRead);
  }
  const found = hash.digest('hex');
  if (found !== ref.sha256) throw damagedBlob(path, `its bytes have the SHA-256 ${found}`);
}

async function removeLeftovers(folder: string): Promise<void> {
  const names = await guarded(folder, 'list the folder', () => readdir(folder));
  for (const name of names.filter((n) => TEMPORARY_NAME.test(n))) {
    const path = join(folder, name);
    const age = Date.now() - (await stat(path).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs;
    if (age > LEFTOVER_MS) await guarded(path, 'remove the leftover', () => unlinkIfThere(path));
  }
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

function* slices(content: BlobContent): Generator<Uint8Array> {
  for (const chunk of content.chunks())
    for (let at = 0; at < chunk.length; at += SLICE) yield chunk.subarray(at, at + SLICE);
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

function damagedBlob(path: string, what: string): RepulsorError {
  return new RepulsorError('STATE_DAMAGED', `the blob ${path} is damaged: ${what}`, {
    hint: 'Restore it from a backup, or fall back to the commit before (`repulsor train --fallback`).',
  });
}
