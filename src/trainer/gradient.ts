import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { materialize } from '../engine/materialize.ts';

/**
 * Value, gradients and by-products of a scalar function of flat float32 vectors (n): a scalar, an (n) for each, and what the function
 * gives. tfjs drops all that a differentiated function makes but its value, so the by-products are kept over the backward pass and
 * handed to the caller's scope.
 */
export function valueAndGradients<T extends Record<string, Tensor>>(
  f: (...x: Tensor1D[]) => { value: Scalar; byProducts: T },
  x: readonly Tensor1D[],
): { value: Scalar; gradients: Tensor1D[]; byProducts: T } {
  let kept: Record<string, Tensor> = {};
  const { value, grads } = tf.valueAndGrads((...flat: Tensor[]) => {
    const result = f(...(flat as Tensor1D[]));
    kept = Object.fromEntries(Object.entries(result.byProducts).map(([name, t]) => [name, tf.keep(tf.clone(t))]));
    return result.value;
  })([...x]);
  const byProducts = Object.fromEntries(
    Object.entries(kept).map(([name, t]) => {
      const own = tf.clone(t);
      t.dispose();
      return [name, own];
    }),
  );
  return { value: value as Scalar, gradients: (grads as Tensor1D[]).map(materialize), byProducts: byProducts as T };
}
