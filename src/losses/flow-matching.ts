import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { overImages } from '../transport/path.ts';
import { DEFAULT_TRANSPORT, PATHS, type TransportSettings } from '../transport/transport.ts';

/** What a training step drew. */
export interface Drawn {
  /** x0, (B, H, W, C). */
  readonly noise: Tensor;
  /** u of the path, (B, H, W, C). */
  readonly velocity: Tensor;
  /** (B) */
  readonly t: Tensor1D;
}

/**
 * The loss of the network's output (B, H, W, C), mean over all elements (Lipman et al. 2023, eq. 9; Ma et al. 2024,
 * section 2.3 and the official `training_losses`):
 *
 *     velocity   (output - u)^2      the default
 *     score      w(t) (sigma output + x0)^2
 *     noise      w(t) (output - x0)^2      w = 1, (lambda / sigma)^2 (velocity) or lambda / sigma^2 (likelihood)
 */
export function flowMatching(output: Tensor, drawn: Drawn, transport: TransportSettings = DEFAULT_TRANSPORT): Scalar {
  if (transport.prediction === 'velocity') return tf.mean(tf.squaredDifference(output, drawn.velocity)) as Scalar;
  const { sigma, lambda } = PATHS[transport.path].of(drawn.t);
  const error =
    transport.prediction === 'noise'
      ? tf.squaredDifference(output, drawn.noise)
      : tf.square(tf.add(tf.mul(overImages(sigma, output.rank), output), drawn.noise));
  if (transport.weighting === 'none') return tf.mean(error) as Scalar;
  const weight =
    transport.weighting === 'velocity' ? tf.square(tf.div(lambda, sigma)) : tf.div(lambda, tf.square(sigma));
  return tf.mean(tf.mul(overImages(weight, output.rank), error)) as Scalar;
}
