import { unitPixels } from '../codec/unit-pixels.ts';
import { mirror } from './mirror.ts';
import { type Placed, type PlaceSettings, place } from './place.ts';

/**
 * The images of a batch while it is filled: bytes as long as all of them are pixels, a quarter of the memory and a copy
 * each, which the train step makes floats of on the device; floats from the first latent on.
 */
export class BatchImages {
  /** (B, H, W, C), whole once every place was filled. Nobody else holds it. */
  images: Uint8Array | Float32Array;
  readonly #settings: PlaceSettings;
  readonly #elements: number;

  /** `used`: the images of a batch that nobody looks at any more, to be filled anew where they are of the same size. */
  constructor(size: number, settings: PlaceSettings, used?: Uint8Array) {
    const [height, width, channels] = settings.shape;
    this.#settings = settings;
    this.#elements = height * width * channels;
    const bytes = size * this.#elements;
    // Not zeroed: every element is written before the batch goes out. From no pool: the batch is all that it keeps alive.
    this.images = used?.byteLength === bytes ? used : new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
  }

  /** Fills the place `at`, counted from 0. */
  put(at: number, image: Placed): void {
    const first = at * this.#elements;
    if (image.pixels instanceof Uint8Array && this.images instanceof Uint8Array) {
      this.images.set(image.pixels, first);
      if (image.flipped) mirror(this.images, first, this.#settings.shape);
      return;
    }
    const floats = unitPixels(this.images);
    this.images = floats;
    place(image, floats, this.#settings, first);
  }
}
