import { openVaeDecoder } from '../../src/autoencoder/vae-decoder.ts';
import { openVaeEncoder } from '../../src/autoencoder/vae-encoder.ts';
import { joined } from '../../src/codec/joined.ts';
import { normals } from '../../src/random/philox.ts';
import { IMAGE } from './model.ts';

export interface VaeMeasures {
  /** Root of the mean squared error of a reconstruction from the mean, of pixels in [-1, 1]. */
  readonly error: number;
  /** The same from a drawn latent. */
  readonly drawnError: number;
  /** Standard deviation of drawn latents, over all elements. */
  readonly deviation: number;
}

/** Measures the exported files on u8 images of 28 x 28 x 1: what a user of them will see. */
export async function measureVae(
  files: { readonly encoder: string; readonly decoder: string },
  images: readonly Uint8Array[],
): Promise<VaeMeasures> {
  const encoder = await openVaeEncoder(files.encoder);
  const decoder = await openVaeDecoder(files.decoder);
  try {
    const posteriors = await encoder.encode(images, IMAGE);
    const { shape } = posteriors[0]!;
    const means = joined(
      Float32Array,
      posteriors.map(({ mean }) => mean),
    );
    const deviations = joined(
      Float32Array,
      posteriors.map(({ std }) => std!),
    );
    const z = normals(0, 'measure-vae', 0, means.length);
    const drawn = means.map((mean, i) => mean + deviations[i]! * z[i]!);
    const wanted = joined(
      Float32Array,
      images.map((image) => Float32Array.from(image, (value) => value / 127.5 - 1)),
    );
    const errorOf = async (latents: Float32Array) => {
      const { images: decoded } = await decoder.decode(latents, shape);
      return Math.sqrt(decoded.reduce((sum, value, i) => sum + (value - wanted[i]!) ** 2, 0) / wanted.length);
    };
    const mean = drawn.reduce((sum, value) => sum + value, 0) / drawn.length;
    const deviation = Math.sqrt(drawn.reduce((sum, value) => sum + (value - mean) ** 2, 0) / drawn.length);
    return { error: await errorOf(means), drawnError: await errorOf(drawn), deviation };
  } finally {
    await encoder.close();
    await decoder.close();
  }
}
