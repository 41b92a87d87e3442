import type { LogRecord } from './log.ts';

/**
 * Memory for what is read, filled anew once nobody looks at the records in it any more. Fresh memory has to come from the
 * system page by page, and hundreds of megabytes of it a second have the garbage collector look for what it cannot find.
 *
 * A piece is held by the reader that fills it and by each record handed out of it. A hold that nobody ends costs the reuse and
 * nothing else: such a piece is the collector's, as all are without this.
 */
export class ReadMemory {
  readonly #holds = new WeakMap<ArrayBufferLike, number>();
  #free: Buffer[] = [];

  /** So many bytes, not zeroed, held once. Where none that is free fits, one of these makes room: no more are kept than were once in use. */
  take(bytes: number): Buffer {
    const at = this.#free.findLastIndex(({ byteLength }) => byteLength >= bytes && byteLength <= 2 * bytes);
    const piece = this.#free[at] ?? Buffer.allocUnsafeSlow(bytes);
    this.#free.splice(Math.max(0, at), 1);
    this.#holds.set(piece.buffer, 1);
    return piece.subarray(0, bytes);
  }

  /** A record is handed out: whoever gets it ends this hold. */
  holdRecord(record: LogRecord): void {
    const bytes = someOf(record);
    if (bytes !== undefined) this.hold(bytes);
  }

  /** Nobody looks at the record's key, value and headers any more. */
  releaseRecord(record: LogRecord): void {
    const bytes = someOf(record);
    if (bytes !== undefined) this.release(bytes);
  }

  /** Another hold on the piece that these bytes lie in. Of other memory (a copy, what was unpacked) nothing is noted. */
  hold({ buffer }: Uint8Array): void {
    const holds = this.#holds.get(buffer);
    if (holds !== undefined) this.#holds.set(buffer, holds + 1);
  }

  /** Ends one hold: behind the last one the bytes change at any time. */
  release({ buffer }: Uint8Array): void {
    const holds = this.#holds.get(buffer);
    if (holds === undefined) return;
    if (holds > 1) this.#holds.set(buffer, holds - 1);
    else {
      this.#holds.delete(buffer);
      this.#free.push(Buffer.from(buffer));
    }
  }
}

/** All bytes of a record lie in one piece. */
const someOf = ({ value, key, headers }: LogRecord): Uint8Array | undefined =>
  value ?? key ?? Object.values(headers)[0];
