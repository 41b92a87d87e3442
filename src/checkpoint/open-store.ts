import type { OnEffect } from './effects.ts';
import { openFolderStore } from './folder-store.ts';
import { openS3Store } from './s3/s3-store.ts';
import type { BlobStore } from './store.ts';

/**
 * Opens the store at `place`: a folder, made when it is not there, or `s3://BUCKET/PREFIX`.
 * @throws RepulsorError CONFIG for a URL that is none, STORE_FAILED
 */
export async function openStore(place: string, options: { readonly onEffect?: OnEffect } = {}): Promise<BlobStore> {
  return place.startsWith('s3://') ? openS3Store(place, options) : openFolderStore(place, options);
}
