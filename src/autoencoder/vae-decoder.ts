import { channelsFirst, channelsLast } from '../codec/channel-order.ts';
import type { Shape } from '../codec/images.ts';
import { RepulsorError } from '../errors.ts';
import { openOnnxModel } from '../onnx/onnx-model.ts';
import { imagesAtOnce, misfit, onlyInput, unfit } from './ports.ts';

/** Images (n, H, W, C), about [-1, 1]. */
export interface DecodedLatents {
  readonly images: Float32Array;
  /** Height, width, channels. */
  readonly shape: Shape;
}

/** The second half of an autoencoder. Owned by whoever opened it, who closes it. */
export interface VaeDecoder {
  readonly file: string;
  readonly sha256: string;
  /**
   * Latents (n, h, w, c), not scaled, to images.
   * @throws RepulsorError CONFIG when they do not fit the model; ENGINE_FAILED
   */
  decode(latents: Float32Array, shape: Shape): Promise<DecodedLatents>;
  close(): Promise<void>;
}

/** Autoencoders shrink images by 8 in each direction, or less: how many are decoded at once is counted by that. */
const SHRINKS = 8;

/**
 * Opens the decoder of an autoencoder, an ONNX file with one input (N, c, h, w) and one output (N, C, H, W); of several
 * outputs the one named `sample`.
 * @throws RepulsorError CONFIG naming what does not fit, USAGE, ENGINE_UNAVAILABLE
 */
export async function openVaeDecoder(file: string): Promise<VaeDecoder> {
  const model = await openOnnxModel(file);
  try {
    const input = onlyInput(model, 'a decoder');
    const output = model.outputs.length === 1 ? model.outputs[0]! : model.outputs.find(({ name }) => name === 'sample');
    if (output === undefined) throw misfit(model, 'has several outputs, and none is named sample');
    return {
      file,
      sha256: model.sha256,
      async decode(latents, shape) {
        const why = unfit(model, input, shape, 'the latents are');
        if (why !== null)
          throw new RepulsorError('CONFIG', why, { hint: 'name the decoder that was trained with their encoder' });
        const [h, w, c] = shape;
        const size = h * w * c;
        const count = latents.length / size;
        const atOnce = imagesAtOnce(input, SHRINKS * h, SHRINKS * w);
        const parts: DecodedLatents[] = [];
        for (let from = 0; from < count; from += atOnce) {
          const some = latents.subarray(from * size, (from + atOnce) * size);
          const fed = new Float32Array(input.batch === null ? some.length : input.batch * size);
          fed.set(some); // a fixed batch is filled up with zeros
          const data = channelsFirst(fed, shape);
          const result = (await model.run({ [input.name]: { shape: [fed.length / size, c, h, w], data } }))[
            output.name
          ]!;
          const [, channels, height, width] = result.shape;
          if (result.shape.length !== 4) throw misfit(model, `gives (${result.shape.join(', ')}), not (N, C, H, W)`);
          const image: Shape = [height!, width!, channels!];
          const kept = result.data.subarray(0, (some.length / size) * height! * width! * channels!);
          parts.push({ images: channelsLast(kept, image), shape: image });
        }
        const images = new Float32Array(parts.reduce((sum, part) => sum + part.images.length, 0));
        let at = 0;
        for (const part of parts) {
          images.set(part.images, at);
          at += part.images.length;
        }
        return { images, shape: parts[0]!.shape };
      },
      close: () => model.close(),
    };
  } catch (error) {
    await model.close();
    throw error;
  }
}
