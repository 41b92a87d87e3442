import { randomBytes } from 'node:crypto';
import { type FileHandle, link, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/*
 * The ways in which files and folders come to be, each durable when its promise resolves: the bytes are synced before
 * the name exists, and the folder that holds the name after it.
 */

/** Syncs a folder's entries. Windows can not, and keeps them without. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder and those above it that are missing. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let folder = dirname(path); folder.length >= dirname(first).length; folder = dirname(folder)) {
    await syncFolder(folder);
    if (folder === dirname(folder)) return;
  }
}

/**
 * Makes `path` with exactly these bytes unless the name is taken: false then. Of several processes that try, one
 * succeeds: link(2) is atomic and refuses an existing name, on NFS too (an O_EXCL create would show an empty file first).
 */
export async function createExclusively(path: string, bytes: Uint8Array): Promise<boolean> {
  const temporary = await writeTemporary(path, [bytes]);
  try {
    await link(temporary, path);
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await unlink(temporary);
  }
  await syncFolder(dirname(path));
  return true;
}

/** Makes `path` of these pieces, or replaces it, in one step. */
export async function replaceAtomically(path: string, pieces: Iterable<Uint8Array>): Promise<void> {
  const temporary = await writeTemporary(path, pieces);
  try {
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary);
    throw error;
  }
  await syncFolder(dirname(path));
}

async function writeTemporary(path: string, pieces: Iterable<Uint8Array>): Promise<string> {
  const temporary = join(dirname(path), `.${randomBytes(8).toString('hex')}.tmp`);
  const handle = await open(temporary, 'wx');
  try {
    for (const piece of pieces) await handle.writeFile(piece);
    await handle.sync();
  } catch (error) {
    await handle.close();
    await unlink(temporary);
    throw error;
  }
  await handle.close();
  return temporary;
}

/** Fills the whole of `target` from `position`; fewer bytes only at the end of the file. */
export async function readFully(handle: FileHandle, target: Buffer, position: number): Promise<Buffer> {
  let filled = 0;
  while (filled < target.byteLength) {
    const { bytesRead } = await handle.read(target, filled, target.byteLength - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return target.subarray(0, filled);
}

/** Writes the whole of `bytes` at `position`. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.byteLength) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.byteLength - written, position + written);
    written += bytesWritten;
  }
}

export async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}
