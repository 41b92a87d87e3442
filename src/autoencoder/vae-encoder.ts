import { BadRecord } from '../codec/bad-record.ts';
import { channelsFirst, channelsLast } from '../codec/channel-order.ts';
import type { Shape } from '../codec/images.ts';
import { RepulsorError } from '../errors.ts';
import { type OnnxModel, type OnnxTensor, openOnnxModel } from '../onnx/onnx-model.ts';
import { type ImagePort, imagesAtOnce, listed, misfit, onlyInput, unfit } from './ports.ts';

/** What the encoder says of one image, (H, W, C) of the latent. */
export interface Posterior {
  readonly shape: Shape;
  /** The mean; where `std` is null, the latent itself. */
  readonly mean: Float32Array;
  readonly std: Float32Array | null;
}

/** The first half of an autoencoder (Kingma and Welling 2014). Owned by whoever opened it, who closes it. */
export interface VaeEncoder {
  readonly file: string;
  readonly sha256: string;
  /** Of the images it takes; null when any number goes. */
  readonly channels: number | null;
  /** Whether it gives distributions, or points. */
  readonly givesDistributions: boolean;
  /** Images that one call should have. */
  atOnce(shape: Shape): number;
  /**
   * Encodes u8 images of one shape, as many as there are. Deterministic.
   * @throws BadRecord when images of this shape do not fit the model; RepulsorError CONFIG when the model does not fit, or
   * draws by itself; ENGINE_FAILED
   */
  encode(images: readonly Uint8Array[], shape: Shape): Promise<Posterior[]>;
  close(): Promise<void>;
}

/** As diffusers and optimum name them. Parameters: the mean, then the logarithm of the variance, along the channels. */
const PARAMETERS = 'latent_parameters';
const POINT = 'latent_sample';

/** Bounds of the log variance in the autoencoders of latent diffusion (Rombach et al. 2022; diffusers' DiagonalGaussianDistribution). */
const LOG_VARIANCE = { least: -30, most: 20 } as const;

/**
 * Opens the encoder of an autoencoder, an ONNX file with one input (N, C, H, W) in [-1, 1] and the output
 * `latent_parameters` (N, 2C', H', W'), or `latent_sample` (N, C', H', W').
 * @throws RepulsorError CONFIG naming what does not fit, USAGE, ENGINE_UNAVAILABLE
 */
export async function openVaeEncoder(file: string): Promise<VaeEncoder> {
  const model = await openOnnxModel(file);
  try {
    const input = onlyInput(model, 'an encoder');
    const output = [PARAMETERS, POINT].find((name) => model.outputs.some((port) => port.name === name));
    if (output === undefined)
      throw misfit(model, `gives ${listed(model.outputs)}; an encoder gives ${PARAMETERS} or ${POINT}`);
    return vaeEncoder(model, input, output);
  } catch (error) {
    await model.close();
    throw error;
  }
}

function vaeEncoder(model: OnnxModel, input: ImagePort, output: string): VaeEncoder {
  const distributions = output === PARAMETERS;
  let checked = distributions;
  const atOnce = ([height, width]: Shape) => imagesAtOnce(input, height, width);
  const run = async (images: readonly Uint8Array[], shape: Shape): Promise<OnnxTensor> => {
    const [h, w, c] = shape;
    const count = input.batch ?? images.length;
    const unit = new Float32Array(count * h * w * c); // a fixed batch is filled up with grey
    for (const [i, image] of images.entries())
      for (let k = 0; k < image.length; k++) unit[i * image.length + k] = image[k]! / 127.5 - 1;
    const results = await model.run({ [input.name]: { shape: [count, c, h, w], data: channelsFirst(unit, shape) } });
    return results[output]!;
  };
  return {
    file: model.file,
    sha256: model.sha256,
    channels: input.sizes[2],
    givesDistributions: distributions,
    atOnce,
    async encode(images, shape) {
      const why = unfit(model, input, shape, 'the images are');
      if (why !== null) throw new BadRecord('dimensions', why);
      const found: Posterior[] = [];
      for (let from = 0; from < images.length; from += atOnce(shape)) {
        const some = images.slice(from, from + atOnce(shape));
        const result = await run(some, shape);
        if (!checked) await demandRepeats(model, result, () => run(some, shape));
        checked = true;
        found.push(...posteriors(model, result, shape, distributions).slice(0, some.length));
      }
      return found;
    },
    close: () => model.close(),
  };
}

/** An encoder that gives points may draw them inside of itself, others each time: a topic could not be made again. */
async function demandRepeats(model: OnnxModel, first: OnnxTensor, again: () => Promise<OnnxTensor>): Promise<void> {
  const second = await again();
  if (first.data.every((value, i) => Object.is(value, second.data[i]))) return;
  throw new RepulsorError(
    'CONFIG',
    `${model.file} gives other latents for the same image each time: it draws by itself`,
    {
      hint: `export the encoder with ${PARAMETERS} (mean and log variance), not with a drawn ${POINT}`,
    },
  );
}

function posteriors(model: OnnxModel, { shape, data }: OnnxTensor, image: Shape, distributions: boolean): Posterior[] {
  const [count = 0, given = 0, height = 0, width = 0] = shape;
  const channels = distributions ? given / 2 : given;
  const factor = image[0] / height;
  if (shape.length !== 4 || !Number.isInteger(channels) || channels < 1)
    throw misfit(model, `gives (${shape.join(', ')}), not (N, ${distributions ? '2C' : 'C'}, H, W)`);
  if (!Number.isInteger(factor) || image[1] / width !== factor)
    throw new BadRecord(
      'dimensions',
      `images of ${image[0]}x${image[1]} give latents of ${height}x${width}: they lose their edge; --size makes their sides multiples`,
    );
  const plane = height * width;
  const latent: Shape = [height, width, channels];
  return Array.from({ length: count }, (_, n) => {
    const own = data.subarray(n * given * plane, (n + 1) * given * plane);
    const mean = channelsLast(own.subarray(0, channels * plane), latent);
    if (!distributions) return { shape: latent, mean, std: null };
    const logVariance = channelsLast(own.subarray(channels * plane), latent);
    return { shape: latent, mean, std: logVariance.map(deviation) };
  });
}

const deviation = (logVariance: number): number =>
  Math.exp(0.5 * Math.min(LOG_VARIANCE.most, Math.max(LOG_VARIANCE.least, logVariance)));
