import { randomUUID } from 'node:crypto';
import { open, rename, unlink } from 'node:fs/promises';
import { RepulsorError } from '../errors.ts';
import type { BlobContent } from './store.ts';

/** Writes a file that appears whole or not at all. @throws RepulsorError STORE_FAILED */
export async function writeSafetensorsFile(path: string, content: BlobContent): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    const file = await open(temporary, 'wx');
    try {
      for (const chunk of content.chunks()) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await unlink(temporary).catch(() => undefined);
    throw new RepulsorError('STORE_FAILED', `cannot write ${path}: ${(cause as Error).message}`, {
      hint: 'Check that the folder is there and writable, and that its disk has room.',
      cause,
    });
  }
}
