import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { linear, linearSpecs } from '../model/linear.ts';
import { type ParameterLayout, parameterLayout, unpack } from '../model/parameters.ts';

/** A small convolutional classifier, whose last activations are the features of an image. */
export interface ClassifierSettings {
  /** Height, width, channels of its images, in [-1, 1]. */
  readonly input: readonly [number, number, number];
  readonly classes: number;
}

/** Convolutions of 3 x 3, each with ReLU. A stride of 2 halves the sides. */
const LAYERS = [
  { width: 16, stride: 1 },
  { width: 32, stride: 2 },
  { width: 32, stride: 1 },
  { width: 64, stride: 2 },
  { width: 64, stride: 1 },
] as const;

/** Numbers that an image becomes. */
export const FEATURES = 64;

/** Weights of a convolution are stored (out, 3 * 3 * in): row, column, channel. */
export function classifierLayout({ input, classes }: ClassifierSettings): ParameterLayout {
  const convolutions = LAYERS.map(({ width }, i) => {
    const channels = i === 0 ? input[2] : LAYERS[i - 1]!.width;
    return linearSpecs(`conv.${i}`, 9 * channels, width);
  });
  return parameterLayout([...convolutions.flat(), ...linearSpecs('classes', FEATURES, classes)]);
}

/** Features (B, 64), the mean over the places of the last convolution, and logits (B, classes). x: (B, H, W, C). */
export function classify(
  flat: Tensor1D,
  settings: ClassifierSettings,
  x: Tensor,
): { features: Tensor; logits: Tensor } {
  const parameters = unpack(flat, classifierLayout(settings));
  let y = x as Tensor4D;
  for (const [i, { width, stride }] of LAYERS.entries()) {
    const weight = tf.transpose(parameters[`conv.${i}.weight`], [1, 0]); // (9 in, out)
    const filter = tf.reshape(weight, [3, 3, -1, width]) as Tensor4D;
    y = tf.relu(tf.add(tf.conv2d(y, filter, stride, 'same'), parameters[`conv.${i}.bias`]));
  }
  const features = tf.mean(y, [1, 2]);
  return { features, logits: linear(features, parameters['classes.weight'], parameters['classes.bias']) };
}
