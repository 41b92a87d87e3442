import type { VaeDecoder } from '../autoencoder/vae-decoder.ts';
import type { Posterior } from '../autoencoder/vae-encoder.ts';
import type { Shape } from '../codec/images.ts';
import type { Encoder } from '../codec/records.ts';
import { RepulsorError } from '../errors.ts';
import type { Keeping } from './encoded-source.ts';

/** For machines, for people, and what people should look at. */
export interface LatentsSummary {
  readonly found: object;
  readonly text: string;
  readonly warnings: readonly string[];
}

/** Images whose reconstruction is looked at. */
const LOOKED_AT = 64;

/** How the latents look while they are made: as large as the noise they are to be mixed with, and good for getting the images back. */
export class LatentsSeen {
  readonly #decoder: VaeDecoder | null;
  readonly #keeping: Keeping;
  #count = 0;
  #sum = 0;
  #squares = 0;
  #decoded = 0;
  #error = 0;
  #elements = 0;
  #shape: Shape | null = null;

  constructor(decoder: VaeDecoder | null, keeping: Keeping) {
    this.#decoder = decoder;
    this.#keeping = keeping;
  }

  async see(images: readonly Uint8Array[], shape: Shape, posteriors: readonly Posterior[]): Promise<void> {
    for (const { mean, std } of posteriors) {
      this.#count += mean.length;
      for (let i = 0; i < mean.length; i++) {
        const deviation = this.#keeping === 'mean' || std === null ? 0 : std[i]!;
        this.#sum += mean[i]!;
        this.#squares += mean[i]! ** 2 + deviation ** 2;
      }
    }
    this.#shape ??= posteriors[0]?.shape ?? null;
    if (this.#decoder !== null && this.#decoded < LOOKED_AT)
      await this.#reconstruct(this.#decoder, images, shape, posteriors);
  }

  async #reconstruct(
    decoder: VaeDecoder,
    images: readonly Uint8Array[],
    shape: Shape,
    posteriors: readonly Posterior[],
  ) {
    const some = posteriors.slice(0, LOOKED_AT - this.#decoded);
    this.#decoded += some.length;
    const latents = Float32Array.from(some.flatMap(({ mean }) => [...mean]));
    const decoded = await decoder.decode(latents, some[0]!.shape);
    if (decoded.shape.join() !== shape.join())
      throw new RepulsorError(
        'CONFIG',
        `${decoder.file} gives ${decoded.shape.join('x')} of images of ${shape.join('x')}`,
        {
          hint: 'name the decoder that was trained with this encoder: --decoder',
        },
      );
    for (let n = 0; n < some.length; n++)
      for (const [i, value] of images[n]!.entries())
        this.#error += (decoded.images[n * images[n]!.length + i]! - (value / 127.5 - 1)) ** 2;
    this.#elements += decoded.images.length;
  }

  summary({ sha256, decoder, scale }: Encoder): LatentsSummary {
    const mean = this.#sum / this.#count;
    const deviation = scale * Math.sqrt(this.#squares / this.#count - mean ** 2);
    const error = this.#elements === 0 ? null : Math.sqrt(this.#error / this.#elements);
    const warnings: string[] = [];
    if (!(deviation > 0.5 && deviation < 2))
      warnings.push(
        `the latents times ${scale} have a deviation of ${deviation.toPrecision(3)}; near 1 is what trains: --scale ${(scale / deviation).toPrecision(4)}`,
      );
    // Of images in [-1, 1] the mean grey alone is nearer than that.
    if (error !== null && error > 0.5)
      warnings.push(
        `reconstructions are ${error.toPrecision(3)} off in [-1, 1]: does the decoder belong to the encoder?`,
      );
    return {
      found: {
        encoder: sha256,
        decoder,
        scale,
        kept: this.#keeping,
        latent_shape: this.#shape,
        latent_deviation: deviation,
        reconstruction_error: error,
      },
      text:
        `latents of ${this.#shape?.join('x')} (${this.#keeping}), deviation ${deviation.toPrecision(3)} once multiplied by ${scale}` +
        (error === null ? '' : `; reconstructions are ${error.toPrecision(3)} off in [-1, 1]`),
      warnings,
    };
  }
}
