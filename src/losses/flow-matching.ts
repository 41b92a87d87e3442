import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/** Flow matching (Lipman et al. 2023, eq. 9 conditional form): mean over all elements of (v - u)^2. */
export function flowMatching(velocity: Tensor, target: Tensor): Scalar {
  return tf.mean(tf.squaredDifference(velocity, target)) as Scalar;
}
