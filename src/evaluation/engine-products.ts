import * as tf from '@tensorflow/tfjs-core';
import type { Engine } from '../engine/engine.ts';
import type { PairProducts } from '../statistics/pair-products.ts';

/** Inner products of pairs on the engine, in float32: 50,000 by 50,000 pairs of 2,048 numbers are ten million million products. */
export async function engineProducts(
  engine: Engine,
  dim: number,
): Promise<{ readonly products: PairProducts; dispose(): void }> {
  const program = await engine.compile({
    name: 'pair-products',
    seed: 0,
    state: {},
    inputs: { a: { shape: ['n', dim], dtype: 'float32' }, b: { shape: ['m', dim], dtype: 'float32' } },
    fn: (_state, { a, b }) => ({ outputs: { products: tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, false, true) } }),
  });
  return {
    products: async (a, b) => {
      const out = await program.run({ a: a.data, b: b.data }, 0);
      return out['products']!.data as Float32Array;
    },
    dispose: () => program.dispose(),
  };
}
