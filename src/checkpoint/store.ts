/** A blob's address and length, as a commit record names it. */
export interface BlobRef {
  /** Hex. */
  readonly sha256: string;
  readonly bytes: number;
}

/** Bytes to be stored. `chunks` can be asked for more than once and gives the same bytes each time. */
export interface BlobContent {
  readonly bytes: number;
  chunks(): Iterable<Uint8Array>;
}

/**
 * Content-addressed blobs: a blob's name is the SHA-256 of its bytes, so it never changes once there, and writing it
 * twice is writing it once. The folder of a run is one (src/checkpoint/folder-store.ts).
 */
export interface BlobStore {
  /** For messages. */
  readonly where: string;
  /**
   * Durable when it resolves. `written` is false when the blob was there already.
   * @throws RepulsorError STORE_FAILED; what was there before stays as it was
   */
  put(content: BlobContent): Promise<{ readonly ref: BlobRef; readonly written: boolean }>;
  /**
   * The bytes in order; a chunk is valid until the next one is asked for. They can be trusted only once the iteration
   * has ended without an error: the digest is checked there.
   * @throws RepulsorError STATE_MISSING when there is no such blob, STATE_DAMAGED when its length or digest is another
   */
  get(ref: BlobRef): AsyncIterable<Uint8Array>;
  /** Whole blobs, with the time of their last `put` in milliseconds since the epoch. */
  list(): Promise<ReadonlyArray<BlobRef & { readonly storedAt: number }>>;
  /** Does nothing when there is no such blob. */
  remove(sha256: string): Promise<void>;
}
