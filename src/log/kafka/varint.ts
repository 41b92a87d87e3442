/*
 * varint = byte*      seven bits a byte, the lowest first; the high bit says that more follow
 * bytes  = varint byte*, or varint(-1) for null
 *
 * Signed numbers are zigzag: 0, -1, 1, -2 are 0, 1, 2, 3 (Protocol Buffers; Kafka's record format).
 */

// Without 32-bit operators: timestamps' deltas reach beyond 32 bits, and 2^53 is enough for them.
const zigzag = (value: number): number => (value >= 0 ? value * 2 : value * -2 - 1);
const unzigzag = (value: number): number => (value % 2 === 0 ? value / 2 : -(value + 1) / 2);

export function varintSize(value: number): number {
  let size = 1;
  for (let rest = zigzag(value); rest >= 128; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

/** Bytes that a length and the bytes behind it take. */
export const bytesSize = (bytes: Uint8Array | null): number =>
  bytes === null ? varintSize(-1) : varintSize(bytes.byteLength) + bytes.byteLength;

export class VarintWriter {
  at: number;
  readonly #target: Buffer;

  constructor(target: Buffer, at: number) {
    this.#target = target;
    this.at = at;
  }

  varint(value: number): void {
    let rest = zigzag(value);
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#target[this.at++] = (rest % 128) | 0x80;
    this.#target[this.at++] = rest;
  }

  bytes(bytes: Uint8Array | null): void {
    this.varint(bytes === null ? -1 : bytes.byteLength);
    if (bytes === null) return;
    this.#target.set(bytes, this.at);
    this.at += bytes.byteLength;
  }
}

export class VarintReader {
  at: number;
  readonly #source: Buffer;

  constructor(source: Buffer, at: number) {
    this.#source = source;
    this.at = at;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#source[this.at++];
      if (byte === undefined) throw new RangeError('a varint runs past the end of its batch');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return unzigzag(value);
    }
  }

  /** A view. */
  bytes(): Uint8Array | null {
    const size = this.varint();
    if (size < 0) return null;
    const { buffer, byteOffset, byteLength } = this.#source;
    if (size > byteLength - this.at) throw new RangeError('bytes run past the end of their batch');
    this.at += size;
    return new Uint8Array(buffer, byteOffset + this.at - size, size);
  }
}
