/** A blob's address and length, as a commit record names it. */
export interface BlobRef {
  /** Hex. */
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * Bytes to be stored. `chunks` can be asked for more than once and gives the same bytes each time, but only until the `put`
 * settles: they may be views of an engine's memory, which is freed then. A store that hands them to a library which may
 * keep them for longer (a socket's buffer) hands it copies.
 */
export interface BlobContent {
  readonly bytes: number;
  chunks(): Iterable<Uint8Array>;
}

/**
 * Content-addressed blobs: a blob's address is the SHA-256 of its bytes, so it never changes once there, and what is there
 * is not written again. A folder is one (folder-store.ts), a bucket of S3 another (s3/s3-store.ts): one contract, one test
 * suite (test/checkpoint/store-contract.ts).
 *
 * Every blob has owners: the writers that put it, each by the epoch that the log gave it. `remove` ends one writer's
 * ownership, and a blob is gone when it has no owner left. So a writer that was fenced while it slept, and wakes to remove
 * what it takes for unused, cannot take a blob from its successor: it only ever removes up to its own epoch.
 */
export interface BlobStore {
  /** For messages. */
  readonly where: string;
  /**
   * Makes `owner` an owner of the blob; durable when it resolves. `written` is false when its bytes were there already.
   * @throws RepulsorError STORE_FAILED; what was there before stays as it was
   */
  put(content: BlobContent, owner: number): Promise<{ readonly ref: BlobRef; readonly written: boolean }>;
  /**
   * The bytes in order; a chunk is valid until the next one is asked for. They can be trusted only once the iteration
   * has ended without an error: the digest is checked there.
   * @throws RepulsorError STATE_MISSING when there is no such blob, STATE_DAMAGED when its length or digest is another
   */
  get(ref: BlobRef): AsyncIterable<Uint8Array>;
  /** Every ownership of every blob. */
  list(): Promise<readonly OwnedBlob[]>;
  /** Does nothing when there is no such ownership. */
  remove(owned: OwnedBlob): Promise<void>;
  /**
   * Removes what the writers up to `owner` began to put and never ended: temporary files, unfinished uploads. A writer
   * among them that is still at it begins that blob again. Returns how many there were.
   */
  removeUnfinished(owner: number): Promise<number>;
}

export interface OwnedBlob {
  readonly sha256: string;
  readonly owner: number;
}
