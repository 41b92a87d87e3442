import type { DecodedLatents } from '../autoencoder/vae-decoder.ts';
import type { ImageSet } from './image-set.ts';

/** Samples of a model of latents as the images, of `shape`, that their decoder makes of them. */
export function decodedImages(
  latents: ImageSet,
  shape: ImageSet['shape'],
  decode: (samples: Float32Array) => Promise<DecodedLatents>,
): ImageSet {
  return {
    ...latents,
    shape,
    async *chunks() {
      for await (const { images, labels } of latents.chunks()) yield { images: (await decode(images)).images, labels };
    },
  };
}
