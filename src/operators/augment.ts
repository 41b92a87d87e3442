import { defer, map, type OperatorFunction } from 'rxjs';
import { RepulsorError } from '../errors.ts';
import { uniforms } from '../random/philox.ts';
import type { AugmentedSample, MixedSample } from './sample.ts';

export interface AugmentSettings {
  /** Mirror every other image left to right, by chance. */
  readonly flip: boolean;
  readonly seed: number;
}

/** Draws are made for so many samples at once. Part of the stream's definition: it keys them. */
const CHUNK = 1024;

/**
 * Decides each sample's flip from (seed, its ordinal) alone; `batch` carries it out while it copies.
 * Errors: CONFIG for latents, which cannot be mirrored.
 */
export function augment(settings: AugmentSettings): OperatorFunction<MixedSample, AugmentedSample> {
  return (source) =>
    defer(() => {
      const flipped = flips(settings);
      return source.pipe(
        map((sample) => {
          if (settings.flip && !(sample.pixels instanceof Uint8Array)) throw noMirror();
          const { id, pixels, label, eventTime, ordinal, archived, epoch, standing } = sample;
          const flip = flipped(ordinal);
          return { id, pixels, label, eventTime, ordinal, archived, epoch, standing, flipped: flip };
        }),
      );
    });
}

/** Whether the sample with an ordinal is mirrored. Quick while ordinals rise. */
export function flips({ flip, seed }: AugmentSettings): (ordinal: number) => boolean {
  if (!flip) return () => false;
  let chunk = -1;
  let draws = new Float32Array();
  return (ordinal) => {
    const wanted = Math.floor(ordinal / CHUNK);
    if (wanted !== chunk) {
      chunk = wanted;
      draws = uniforms(seed, 'flip', chunk, CHUNK);
    }
    return draws[ordinal % CHUNK]! < 0.5;
  };
}

function noMirror(): RepulsorError {
  return new RepulsorError('CONFIG', 'operators.flip mirrors images; a mirrored latent is that of no mirrored image', {
    hint: 'set operators.flip to false, and encode each image both ways: repulsor ingest --encode ... --mirror',
  });
}
