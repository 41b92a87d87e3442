import * as tf from '@tensorflow/tfjs-core';
import type { Engine } from '../engine/engine.ts';
import { BLOCK, type PairProducts } from '../statistics/pair-products.ts';

/** Inner products of pairs on the engine, in float32: 50,000 by 50,000 pairs of 2,048 numbers are ten million million products. */
export async function engineProducts(
  engine: Engine,
  dim: number,
): Promise<{ readonly products: PairProducts; dispose(): void }> {
  const block = { shape: [BLOCK, dim], dtype: 'float32' } as const;
  const program = await engine.compile({
    name: 'pair-products',
    seed: 0,
    state: {},
    inputs: { a: block, b: block },
    fn: (_state, { a, b }) => ({ outputs: { products: tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, false, true) } }),
  });
  const filled = (data: Float32Array) => {
    if (data.length === BLOCK * dim) return data;
    const rows = new Float32Array(BLOCK * dim);
    rows.set(data);
    return rows;
  };
  return {
    products: async (a, b) => {
      const out = await program.run({ a: filled(a.data), b: filled(b.data) }, 0);
      const all = out['products']!.data as Float32Array;
      const [n, m] = [a.shape[0], b.shape[0]];
      if (m === BLOCK) return all.subarray(0, n * m);
      const cut = new Float32Array(n * m);
      for (let i = 0; i < n; i++) cut.set(all.subarray(i * BLOCK, i * BLOCK + m), i * m);
      return cut;
    },
    dispose: () => program.dispose(),
  };
}
