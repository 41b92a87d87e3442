import type { Pixels, Shape } from '../codec/images.ts';
import { UNIT } from '../codec/unit-pixels.ts';
import { normals } from '../random/philox.ts';
import { mirror } from './mirror.ts';

export interface PlaceSettings {
  readonly shape: Shape;
  /** What latents are multiplied by. Default 1. */
  readonly latentScale?: number;
  /** Keys what is drawn of latents' distributions. */
  readonly seed: number;
}

/** An image and what is to be done with it on its way into a batch. */
export interface Placed {
  readonly pixels: Pixels;
  /** Mirrored left to right. */
  readonly flipped: boolean;
  /** Of a distribution a latent is drawn, another for each ordinal. */
  readonly ordinal: number;
}

/** Puts one image (H, W, C) into floats, from element `at` on, as a model takes it: pixels in [-1, 1], latents scaled. */
export function place({ pixels, flipped, ordinal }: Placed, into: Float32Array, settings: PlaceSettings, at = 0): void {
  const { shape, latentScale = 1, seed } = settings;
  const elements = shape[0] * shape[1] * shape[2];
  // A loop for each type of array: a shared one runs ten times slower.
  if (pixels instanceof Uint8Array) {
    for (let i = 0; i < elements; i++) into[at + i] = UNIT[pixels[i]!]!;
  } else if (pixels instanceof Float32Array) {
    for (let i = 0; i < elements; i++) into[at + i] = pixels[i]! * latentScale;
  } else {
    const { mean, std } = pixels;
    const z = normals(seed, 'posterior', ordinal, elements);
    for (let i = 0; i < elements; i++) into[at + i] = (mean[i]! + std[i]! * z[i]!) * latentScale;
  }
  if (flipped) mirror(into, at, shape);
}
