import { type DecodedLatents, openVaeDecoder } from '../autoencoder/vae-decoder.ts';
import { vaeFolder } from '../autoencoder/vae-files.ts';
import type { Shape } from '../codec/images.ts';
import type { Commit } from '../codec/records.ts';
import { RepulsorError } from '../errors.ts';
import { sizeOf } from '../model/parameters.ts';
import type { Pipeline } from '../trainer/pipeline.ts';

/** What makes images of a run's samples. Owned by whoever opened it. */
export interface Decoding {
  /** Samples (n, H, W, C) as the run is trained. @throws RepulsorError CONFIG when they do not fit the decoder */
  decode(samples: Float32Array, pipeline: Pipeline): Promise<DecodedLatents>;
  /** Of the images. @throws as decode */
  imageShape(pipeline: Pipeline): Promise<Shape>;
  close(): Promise<void>;
}

/**
 * Looks whether the decoder belongs to the run, before anything is drawn.
 * @throws RepulsorError USAGE when it is another one's, or the file to write takes none; CONFIG when it is none at all
 */
export async function openDecoding(
  path: string,
  { position: { encoder }, run }: Pick<Commit, 'position' | 'run'>,
  out: string | null,
  warn: (line: string) => void,
): Promise<Decoding> {
  if (out?.endsWith('.safetensors'))
    throw new RepulsorError('USAGE', `${out} takes the samples as the model is trained: --decode is for pictures`, {
      hint: 'leave out --decode, or name a .png',
    });
  const files = await vaeFolder(path);
  if (files !== null && files.decoder === null)
    throw new RepulsorError('USAGE', `${path} holds no vae_decoder/model.onnx`, {
      hint: 'name the .onnx file of the decoder, or a folder that diffusers or optimum exported',
    });
  const decoder = await openVaeDecoder(files?.decoder ?? path);
  const wanted = encoder?.decoder ?? null;
  if (wanted !== null && wanted !== decoder.sha256) {
    await decoder.close();
    throw new RepulsorError(
      'USAGE',
      `${decoder.file} is the decoder ${decoder.sha256}; the latents of ${run} were made to be decoded by ${wanted}`,
      { hint: 'name the decoder of the autoencoder that encoded its topic' },
    );
  }
  if (wanted === null)
    warn(`nothing says which decoder the latents of ${run} are for (ingest --decoder does): look at the picture`);
  let warned = false;
  return {
    async decode(samples, { model, operators }) {
      const latents = samples.map((value) => value / operators.latentScale);
      const decoded = await decoder.decode(latents, model.input);
      // [-1, 1] is what images are everywhere here; some exports end in [0, 1].
      if (!warned && decoded.images.every((value) => value >= 0 && value <= 1)) {
        warn(`${decoder.file} gives nothing below 0: where its images are [0, 1], they come out pale`);
        warned = true;
      }
      return decoded;
    },
    imageShape: async ({ model }) => (await decoder.decode(new Float32Array(sizeOf(model.input)), model.input)).shape,
    close: () => decoder.close(),
  };
}
