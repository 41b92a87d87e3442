import type { Log } from '../log/log.ts';
import type { BlobStore } from './store.ts';

/** All that there is of a run: its topics in the log, its blobs in the store. */
export interface StoredRun {
  readonly log: Log;
  readonly store: BlobStore;
  /** Its id. */
  readonly run: string;
}
