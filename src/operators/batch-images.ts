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

  constructor(size: number, settings: PlaceSettings) {
    const [height, width, channels] = settings.shape;
    this.#settings = settings;
    this.#elements = height * width * channels;
    // Not zeroed: every element is written before the batch goes out. From no pool: the batch is all that it keeps alive.
    this.images = new Uint8Array(Buffer.allocUnsafeSlow(size * this.#elements).buffer);
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
