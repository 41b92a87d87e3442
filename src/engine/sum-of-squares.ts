import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/** Name of the kernel that an engine registers which sums squares as it reads. */
export const SUM_OF_SQUARES = 'RepulsorSumOfSquares';

/**
 * The sum of all squares, a scalar. `tf.sum(tf.square(x))` writes the squares to memory and reads them again, on every engine
 * that runs op by op; one that can sums them as it reads. It has no gradient: call it on what is not differentiated.
 */
export function sumOfSquares(x: Tensor): Scalar {
  if (tf.getKernel(SUM_OF_SQUARES, tf.getBackend()) === undefined) return tf.tidy(() => tf.sum(tf.square(x)));
  return tf.engine().runKernel(SUM_OF_SQUARES, { x }) as Scalar;
}
