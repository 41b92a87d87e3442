/** Images to be measured, wherever they come from, some at a time. */
export interface ImageSet {
  /** For people: "topic digits", "folder flowers". */
  readonly name: string;
  readonly shape: readonly [height: number, width: number, channels: number];
  /** How many there are at most; null where that is not known before they are read. */
  readonly total: number | null;
  /** The same images in the same order each time. */
  chunks(): AsyncIterable<ImageChunk>;
}

export interface ImageChunk {
  /** (n, H, W, C), in [-1, 1]. */
  readonly images: Float32Array;
  /** (n); -1 where there is none. */
  readonly labels: Int32Array;
}

/** Images of a chunk. */
export const CHUNK = 500;

/** Gathers single images into chunks of `CHUNK`; what `into` writes is one image. */
export class ChunkBuilder {
  readonly #elements: number;
  #images: Float32Array;
  #labels: number[] = [];

  constructor(elements: number) {
    this.#elements = elements;
    this.#images = new Float32Array(CHUNK * elements);
  }

  /** Adds an image. A chunk, when it is full: the caller's, never written again. */
  add(label: number | null, write: (into: Float32Array) => void): ImageChunk | null {
    const at = this.#labels.length * this.#elements;
    write(this.#images.subarray(at, at + this.#elements));
    this.#labels.push(label ?? -1);
    return this.#labels.length === CHUNK ? this.take() : null;
  }

  /** What is left; null when nothing is. */
  take(): ImageChunk | null {
    const n = this.#labels.length;
    if (n === 0) return null;
    const chunk = { images: this.#images.subarray(0, n * this.#elements), labels: Int32Array.from(this.#labels) };
    this.#images = new Float32Array(CHUNK * this.#elements);
    this.#labels = [];
    return chunk;
  }
}
