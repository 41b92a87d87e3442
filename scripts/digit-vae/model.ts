import type { Scalar, Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { type ParameterLayout, type ParameterSpec, parameterLayout } from '../../src/model/parameters.ts';

/**
 * A small variational autoencoder of the digits: 28 x 28 x 1 to 7 x 7 x 4 and back. Convolutions, stored (out, in, kernel,
 * kernel) as PyTorch and ONNX have them:
 *
 *     encoder   image -4x4, stride 4-> W -3x3-> W -1x1-> mean, log variance
 *     decoder   latent -3x3-> W -3x3-> W -1x1-> 16 values of a pixel block -> image
 *
 * with SiLU between them.
 */
export const IMAGE = [28, 28, 1] as const;
export const LATENT = [7, 7, 4] as const;
/** Pixels a side that become one latent position. */
export const BLOCK = 4;
const WIDTH = 48;

export const CONVOLUTIONS = {
  'encoder.in': { in: 1, out: WIDTH, kernel: BLOCK, stride: BLOCK },
  'encoder.mix': { in: WIDTH, out: WIDTH, kernel: 3, stride: 1 },
  'encoder.out': { in: WIDTH, out: 2 * LATENT[2], kernel: 1, stride: 1 },
  'decoder.in': { in: LATENT[2], out: WIDTH, kernel: 3, stride: 1 },
  'decoder.mix': { in: WIDTH, out: WIDTH, kernel: 3, stride: 1 },
  'decoder.out': { in: WIDTH, out: BLOCK * BLOCK, kernel: 1, stride: 1 },
} as const;
export type Convolution = keyof typeof CONVOLUTIONS;

export function vaeLayout(): ParameterLayout {
  return parameterLayout(
    Object.entries(CONVOLUTIONS).flatMap(([name, { in: inputs, out, kernel }]): ParameterSpec[] => [
      { name: `${name}.weight`, shape: [out, inputs, kernel, kernel], init: { kind: 'xavier' } },
      { name: `${name}.bias`, shape: [out], init: { kind: 'zeros' } },
    ]),
  );
}

type Weights = Readonly<Record<string, Tensor>>;

function convolve(x: Tensor, weights: Weights, name: Convolution): Tensor4D {
  const { stride } = CONVOLUTIONS[name];
  const filter = tf.transpose(weights[`${name}.weight`]!, [2, 3, 1, 0]) as Tensor4D; // (k, k, in, out)
  // Strides of a kernel's own size need no padding, and `same` gives them none.
  return tf.add(tf.conv2d(x as Tensor4D, filter, stride, 'same'), weights[`${name}.bias`]!) as Tensor4D;
}

const silu = (x: Tensor): Tensor => tf.mul(x, tf.sigmoid(x));

/** Images (N, 28, 28, 1) in [-1, 1] to mean and log variance, each (N, 7, 7, 4). */
export function encode(images: Tensor, weights: Weights): { mean: Tensor; logVariance: Tensor } {
  const first = silu(convolve(images, weights, 'encoder.in')); // (N, 7, 7, W)
  const second = silu(convolve(first, weights, 'encoder.mix'));
  const [mean, logVariance] = tf.split(convolve(second, weights, 'encoder.out'), 2, 3); // each (N, 7, 7, 4)
  return { mean: mean!, logVariance: logVariance! };
}

/** Latents (N, 7, 7, 4) to images (N, 28, 28, 1). */
export function decode(latents: Tensor, weights: Weights): Tensor {
  const first = silu(convolve(latents, weights, 'decoder.in'));
  const second = silu(convolve(first, weights, 'decoder.mix'));
  const blocks = convolve(second, weights, 'decoder.out'); // (N, 7, 7, 16): a block row by row
  const [height, width] = LATENT;
  const split = tf.reshape(blocks, [-1, height, width, BLOCK, BLOCK]);
  return tf.reshape(tf.transpose(split, [0, 1, 3, 2, 4]), [-1, ...IMAGE]); // (N, 7, 4, 7, 4) row-major
}

/** KL divergence of the posterior from the standard normal, mean over elements (Kingma and Welling 2014, appendix B). */
function divergence(mean: Tensor, logVariance: Tensor): Scalar {
  const each = tf.sub(tf.add(tf.square(mean), tf.exp(logVariance)), tf.add(logVariance, 1));
  return tf.mul(tf.mean(each), 0.5) as Scalar;
}

/** Weight of the divergence beside the squared error of a pixel: enough to keep latents bounded, as latent diffusion does. */
const DIVERGENCE = 1e-3;

/** z: (N, 7, 7, 4) standard normal. */
export function vaeLoss(images: Tensor, z: Tensor, weights: Weights): { loss: Scalar; error: Scalar } {
  const { mean, logVariance } = encode(images, weights);
  const latents = tf.add(mean, tf.mul(tf.exp(tf.mul(logVariance, 0.5)), z));
  const error = tf.mean(tf.squaredDifference(decode(latents, weights), images)) as Scalar;
  return { loss: tf.add(error, tf.mul(divergence(mean, logVariance), DIVERGENCE)), error };
}
