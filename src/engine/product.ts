import * as tf from '@tensorflow/tfjs-core';

/** Name of the kernel that an engine registers which can take products in bfloat16. */
export const PRODUCT = 'RepulsorProduct';

/** Of which numbers the products of a program are made. */
export const PRECISIONS = ['fp32', 'bf16'] as const;

export type Precision = (typeof PRECISIONS)[number];

export interface ProductAttributes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** a b, plus a bias (columns) where there is one: what a product is without an engine's help. */
export function plainProduct<T extends tf.Tensor>(
  a: T,
  b: T,
  { transposeA, transposeB }: ProductAttributes,
  bias: tf.Tensor | undefined,
): T {
  const y = tf.matMul(a, b, transposeA, transposeB) as T;
  return bias === undefined ? y : tf.add(y, bias);
}

/**
 * A matrix product, or one for each of a batch, plus a bias (columns), in the program's precision: float32, or its operands rounded to bfloat16 (8 bits of
 * mantissa, sums in float32) where the program was compiled so. The result is a float32 tensor either way. tf.matMul
 * is float32 whatever the program. It has no gradient: call it inside of tf.customGrad.
 */
export function product<T extends tf.Tensor>(a: T, b: T, transposeA = false, transposeB = false, bias?: tf.Tensor): T {
  const attributes: ProductAttributes = { transposeA, transposeB };
  if (tf.getKernel(PRODUCT, tf.getBackend()) === undefined) return tf.tidy(() => plainProduct(a, b, attributes, bias));
  const inputs = { a, b, ...(bias && { bias }) };
  return tf.engine().runKernel(PRODUCT, inputs, attributes as never) as T;
}
