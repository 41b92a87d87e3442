import type { Scalar, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { sumOfSquares } from '../engine/sum-of-squares.ts';

/** Global L2 norm of one flat vector in parts. It has no gradient. */
export function norm(parts: readonly Tensor1D[]): Scalar {
  return tf.sqrt(parts.map(sumOfSquares).reduce((sum, part) => tf.add(sum, part)));
}

/** The gradient scaled down to norm `limit` where its norm exceeds it (Pascanu et al. 2013); null leaves it alone. */
export function clipByNorm(gradient: Tensor1D, gradientNorm: Scalar, limit: number | null): Tensor1D {
  if (limit === null) return gradient;
  return tf.mul(gradient, tf.div(limit, tf.maximum(gradientNorm, limit)));
}
