import { RepulsorError } from '../errors.ts';
import { replaceAtomically } from '../files/durable-file.ts';
import type { BlobContent } from './store.ts';

/** Writes a file that appears whole or not at all. @throws RepulsorError STORE_FAILED */
export async function writeSafetensorsFile(path: string, content: BlobContent): Promise<void> {
  try {
    await replaceAtomically(path, content.chunks());
  } catch (cause) {
    throw new RepulsorError('STORE_FAILED', `cannot write ${path}: ${(cause as Error).message}`, {
      hint: 'Check that the folder is there and writable, and that its disk has room.',
      cause,
    });
  }
}
