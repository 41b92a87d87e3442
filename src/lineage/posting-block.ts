/*
 * block   = posting{n}                                of one stream, ascending by (offset, step); n is in the directory
 * posting = offsetDelta:varint step:varint index:varint
 * varint  = base 128, the lowest seven bits first, the high bit says that more follow
 *
 * A posting says: the step trained on image `index` of the record at this offset. offsetDelta counts from the offset of
 * the posting before, the first one's from the block's own offset in the directory (so it is 0). step counts from the
 * step before where the record is the same (offsetDelta 0, and not the first), else from 0.
 */

/** Encoded bytes at which a block is closed: what a query reads to find one record. */
export const BLOCK_BYTES = 16 * 1024;
/** Two numbers below 2^53 and one below 2^32. */
const LONGEST_POSTING = 8 + 8 + 5;

/** Postings of one block, column by column; valid until the next block is decoded into the same columns. */
export class BlockColumns {
  offsets = new Float64Array(1024);
  steps = new Float64Array(1024);
  indices = new Float64Array(1024);
  count = 0;

  /** @throws RangeError when the bytes are no block of `count` postings */
  decode(bytes: Uint8Array, count: number, firstOffset: number): void {
    if (this.offsets.length < count) {
      this.offsets = new Float64Array(count);
      this.steps = new Float64Array(count);
      this.indices = new Float64Array(count);
    }
    let at = 0;
    const varint = (): number => {
      let value = 0;
      for (let scale = 1; ; scale *= 128) {
        if (at >= bytes.length || scale > 2 ** 49) throw new RangeError('a number of a block runs on');
        const byte = bytes[at++]!;
        value += (byte & 127) * scale;
        if (byte < 128) return value;
      }
    };
    let offset = firstOffset;
    let step = 0;
    for (let i = 0; i < count; i++) {
      const delta = varint();
      if (delta > 0 || i === 0) step = 0;
      offset += delta;
      step += varint();
      this.offsets[i] = offset;
      this.steps[i] = step;
      this.indices[i] = varint();
    }
    if (at !== bytes.length) throw new RangeError('bytes follow the last posting of a block');
    this.count = count;
  }
}

/** Encodes one block after the other into the same memory. */
export class BlockEncoder {
  readonly #bytes = new Uint8Array(BLOCK_BYTES + LONGEST_POSTING);
  #at = 0;
  #offset = 0;
  #step = 0;
  firstOffset = 0;
  count = 0;

  get full(): boolean {
    return this.#at >= BLOCK_BYTES;
  }

  add(offset: number, step: number, index: number): void {
    if (this.count === 0) this.firstOffset = this.#offset = offset;
    const same = this.count > 0 && offset === this.#offset;
    this.#varint(offset - this.#offset);
    this.#varint(same ? step - this.#step : step);
    this.#varint(index);
    this.#offset = offset;
    this.#step = step;
    this.count++;
  }

  /** The block's bytes, a copy; the next posting begins another block. */
  take(): Uint8Array {
    const block = this.#bytes.slice(0, this.#at);
    this.#at = 0;
    this.count = 0;
    return block;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#at++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#at++] = rest;
  }
}
