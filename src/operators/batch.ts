import { Observable, type OperatorFunction } from 'rxjs';
import type { Shape } from '../codec/images.ts';
import { normals } from '../random/philox.ts';
import type { SampleId, StreamPosition } from './position.ts';
import { type AugmentedSample, positionOf } from './sample.ts';

/** What the trainer takes a step on. Its arrays are its own: nobody else holds or changes them. */
export interface Batch {
  /** Samples, B. */
  readonly size: number;
  /** (B, H, W, C) float32: pixels in [-1, 1], latents scaled. */
  readonly images: Float32Array;
  /** (B); the null class where a record had no labels. */
  readonly labels: Int32Array;
  readonly ids: readonly SampleId[];
  /** Which of them, counted from 0 and ascending, were read again from the archive. */
  readonly archived: readonly number[];
  /** (B) milliseconds since the epoch. */
  readonly eventTimes: Float64Array;
  /** Ordinal of the first sample: how many the run emitted before. */
  readonly ordinal: number;
  /** The epoch that the last sample belongs to. */
  readonly epoch: number;
  /** Right after the last sample. */
  readonly position: StreamPosition;
}

export interface BatchSettings {
  readonly size: number;
  readonly shape: Shape;
  /** The label of a sample that has none. */
  readonly nullClass: number;
  /** What latents are multiplied by. Default 1. */
  readonly latentScale?: number;
  /** Keys what is drawn of latents' distributions. */
  readonly seed: number;
  /** Told at the end of a bounded read how many samples were left over, too few for a batch. */
  readonly onLeftover?: (samples: number) => void;
}

/** u8 -> [-1, 1], as float32. */
const UNIT = Float32Array.from({ length: 256 }, (_, value) => value / 127.5 - 1);

/**
 * Whole batches only. An epoch's end does not cut a batch: it goes on into the next epoch, so every sample of an epoch
 * is applied exactly once. What is left when a bounded read ends is not emitted but told; while a topic is followed, the
 * samples wait for the batch to fill.
 */
export function batch(settings: BatchSettings): OperatorFunction<AugmentedSample, Batch> {
  const { size, shape, nullClass, onLeftover } = settings;
  const elements = shape[0] * shape[1] * shape[2];
  return (source) =>
    new Observable((subscriber) => {
      let open = emptyBatch(size, elements);
      return source.subscribe({
        next(sample) {
          const at = open.ids.length;
          place(sample, open.images, settings, at * elements);
          open.labels[at] = sample.label ?? nullClass;
          open.eventTimes[at] = sample.eventTime;
          open.ids.push(sample.id);
          if (sample.archived) open.archived.push(at);
          if (open.ids.length < size) return;
          const full = open;
          open = emptyBatch(size, elements);
          subscriber.next({
            ...full,
            size,
            ordinal: sample.ordinal + 1 - size,
            epoch: sample.epoch,
            position: positionOf(sample.standing),
          });
        },
        error: (error) => subscriber.error(error),
        complete() {
          onLeftover?.(open.ids.length);
          subscriber.complete();
        },
      });
    });
}

function emptyBatch(size: number, elements: number) {
  return {
    // Not zeroed: every element is written before the batch goes out.
    images: new Float32Array(Buffer.allocUnsafeSlow(size * elements * Float32Array.BYTES_PER_ELEMENT).buffer),
    labels: new Int32Array(size),
    eventTimes: new Float64Array(size),
    ids: [] as SampleId[],
    archived: [] as number[],
  };
}

/**
 * Puts one image (H, W, C) into its place in the batch, from element `at` on: normalised and, where asked, mirrored left to
 * right. Of a distribution a latent is drawn, another for each ordinal.
 */
export function place(
  sample: Pick<AugmentedSample, 'pixels' | 'flipped' | 'ordinal'>,
  into: Float32Array,
  { shape, latentScale = 1, seed }: Pick<BatchSettings, 'shape' | 'latentScale' | 'seed'>,
  at = 0,
): void {
  const { pixels, flipped, ordinal } = sample;
  const [height, width, channels] = shape;
  const elements = height * width * channels;
  // A loop for each type of array: a shared one runs ten times slower.
  if (pixels instanceof Uint8Array) {
    if (flipped) placeMirrored(pixels, into, at, shape);
    else placeBytes(pixels, into, at, elements);
    return;
  }
  if (pixels instanceof Float32Array) {
    for (let i = 0; i < elements; i++) into[at + i] = pixels[i]! * latentScale;
  } else {
    const { mean, std } = pixels;
    const z = normals(seed, 'posterior', ordinal, elements);
    for (let i = 0; i < elements; i++) into[at + i] = (mean[i]! + std[i]! * z[i]!) * latentScale;
  }
  if (flipped) mirror(into.subarray(at, at + elements), shape);
}

/** Eight at a time, which takes half as long as one by one: this is where a stream of raw pixels spends most of its time. */
function placeBytes(pixels: Uint8Array, into: Float32Array, at: number, elements: number): void {
  let i = 0;
  let to = at;
  for (; i + 8 <= elements; i += 8, to += 8) {
    into[to] = UNIT[pixels[i]!]!;
    into[to + 1] = UNIT[pixels[i + 1]!]!;
    into[to + 2] = UNIT[pixels[i + 2]!]!;
    into[to + 3] = UNIT[pixels[i + 3]!]!;
    into[to + 4] = UNIT[pixels[i + 4]!]!;
    into[to + 5] = UNIT[pixels[i + 5]!]!;
    into[to + 6] = UNIT[pixels[i + 6]!]!;
    into[to + 7] = UNIT[pixels[i + 7]!]!;
  }
  for (; i < elements; i++, to++) into[to] = UNIT[pixels[i]!]!;
}

/** Each row from its last pixel to its first, the channels of a pixel in their order. */
function placeMirrored(pixels: Uint8Array, into: Float32Array, at: number, [height, width, channels]: Shape): void {
  const row = width * channels;
  for (let y = 0, from = 0; y < height; y++) {
    const first = at + y * row;
    for (let to = first + row - channels; to >= first; to -= channels)
      for (let c = 0; c < channels; c++) into[to + c] = UNIT[pixels[from++]!]!;
  }
}

/** In place. */
function mirror(image: Float32Array, [height, width, channels]: Shape): void {
  const row = width * channels;
  for (let y = 0; y < height; y++) {
    for (let left = y * row, right = left + row - channels; left < right; left += channels, right -= channels) {
      for (let c = 0; c < channels; c++) {
        const value = image[left + c]!;
        image[left + c] = image[right + c]!;
        image[right + c] = value;
      }
    }
  }
}
