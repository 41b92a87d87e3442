import { openVaeDecoder, type VaeDecoder } from '../autoencoder/vae-decoder.ts';
import { openVaeEncoder, type VaeEncoder } from '../autoencoder/vae-encoder.ts';
import { vaeFolder } from '../autoencoder/vae-files.ts';
import type { Encoder } from '../codec/records.ts';
import { RepulsorError } from '../errors.ts';
import { encodedSource, type Keeping } from '../ingest/encoded-source.ts';
import { LatentsSeen, type LatentsSummary } from '../ingest/latents-seen.ts';
import type { ImageSource } from '../ingest/source.ts';

export interface EncodeOptions {
  /** An ONNX file, or a folder as diffusers and optimum export it. */
  readonly encode: string;
  readonly decoder?: string;
  readonly scale?: number;
  readonly mean?: boolean;
  readonly sample?: boolean;
  readonly mirror?: boolean;
}

export interface Encoding {
  /** The images as latents. */
  readonly source: ImageSource;
  readonly encoder: Encoder;
  /** What there is to say once all are encoded; warnings among it. */
  summary(): LatentsSummary;
  close(): Promise<void>;
}

/** Of the autoencoders of Stable Diffusion 1 and 2, which SiT is trained on (Rombach et al. 2022). */
const DEFAULT_SCALE = 0.18215;

/** Opens the encoder, and the decoder where it is known, and puts them behind a source of images. */
export async function openEncoding(images: ImageSource, options: EncodeOptions): Promise<Encoding> {
  const files = await vaeFolder(options.encode);
  if (files !== null && files.encoder === null) throw noEncoder(options.encode);
  const encoder = await openVaeEncoder(files?.encoder ?? options.encode);
  let decoder: VaeDecoder | null = null;
  try {
    const keeping = keepingOf(options, encoder);
    const decoderFile = options.decoder ?? files?.decoder ?? null;
    decoder = decoderFile === null ? null : await openVaeDecoder(decoderFile);
    const scale = options.scale ?? files?.scale ?? DEFAULT_SCALE;
    const named: Encoder = { sha256: encoder.sha256, decoder: decoder?.sha256 ?? null, scale };
    const look = new LatentsSeen(decoder, keeping);
    const mirror = options.mirror ?? false;
    const source = encodedSource(images, {
      encoder,
      keeping,
      named,
      mirror,
      onEncoded: (...seen) => look.see(...seen),
    });
    return {
      source,
      encoder: named,
      summary: () => look.summary(named),
      async close() {
        await encoder.close();
        await decoder?.close();
      },
    };
  } catch (error) {
    await encoder.close();
    await decoder?.close();
    throw error;
  }
}

function keepingOf({ mean, sample }: EncodeOptions, { file, givesDistributions }: VaeEncoder): Keeping {
  if (mean && sample)
    throw new RepulsorError('USAGE', '--mean and --sample are two things', { hint: 'give one of them, or neither' });
  if (sample && !givesDistributions)
    throw new RepulsorError('USAGE', `${file} gives points, not distributions: there is nothing to draw from`, {
      hint: 'leave out --sample, or export the encoder with latent_parameters',
    });
  return mean || !givesDistributions ? 'mean' : sample ? 'sample' : 'moments';
}

function noEncoder(folder: string): RepulsorError {
  return new RepulsorError('USAGE', `${folder} holds no vae_encoder/model.onnx`, {
    hint: 'name the .onnx file of the encoder, or a folder that diffusers or optimum exported',
  });
}
