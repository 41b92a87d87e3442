import type { OwnedBlob } from './store.ts';

/**
 * How every store names a blob that a writer owns, so that blobs copied from a store into another are blobs there:
 *
 *   name   := sha256 "-" owner
 *   sha256 := 64 hex digits, lower case
 *   owner  := decimal, at most 16 digits
 */
export const blobName = ({ sha256, owner }: OwnedBlob): string => `${sha256}-${owner}`;

const BLOB_NAME = /^([0-9a-f]{64})-([0-9]{1,16})$/;

/** Null for what is no blob. */
export function parseBlobName(name: string): OwnedBlob | null {
  const match = BLOB_NAME.exec(name);
  return match === null ? null : { sha256: match[1]!, owner: Number(match[2]) };
}
