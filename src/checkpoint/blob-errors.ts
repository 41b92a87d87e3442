import { RepulsorError } from '../errors.ts';
import type { BlobRef } from './store.ts';

const HINT = 'Restore it from a backup, or fall back to the commit before (`repulsor train --fallback`).';

/** `where`: the store. A copy of a run folder lacks what was committed after it was made; falling back would give that up. */
export function missingBlob(where: string, { sha256 }: BlobRef): RepulsorError {
  return new RepulsorError('STATE_MISSING', `the blob ${sha256} is not in ${where}`, {
    hint: `Is this where the run was trained last, and no older copy? Then: ${HINT}`,
  });
}

/** `path`: the blob's own. */
export function damagedBlob(path: string, what: string): RepulsorError {
  return new RepulsorError('STATE_DAMAGED', `the blob ${path} is damaged: ${what}`, { hint: HINT });
}

/** Its length is not the one recorded. */
export function otherLength(path: string, found: number, { bytes }: BlobRef): RepulsorError {
  return damagedBlob(path, `it has ${found} bytes, its commit recorded ${bytes}`);
}

/** Its bytes are not the ones recorded. */
export function otherDigest(path: string, found: string): RepulsorError {
  return damagedBlob(path, `its bytes have the SHA-256 ${found}`);
}
