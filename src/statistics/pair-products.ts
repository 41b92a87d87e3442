import type { Features } from './features.ts';

/**
 * All inner products of the rows of `a` (n, d) with the rows of `b` (m, d), as (n, m). What measures of pairs spend their time
 * on; src/evaluation/engine-products.ts does it on the engine, in float32.
 */
export type PairProducts = (a: Features, b: Features) => Promise<Float32Array | Float64Array>;

/** On the host, in double precision. */
export const hostProducts: PairProducts = async ({ shape: [n, d], data: a }, { shape: [m], data: b }) => {
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < m; j++) {
      let sum = 0;
      for (let k = 0, at = i * d, bt = j * d; k < d; k++) sum += a[at + k] * b[bt + k];
      out[i * m + j] = sum;
    }
  return out;
};

/** Rows of a block: a block of products is then 4 or 8 MB, whatever the sets are. */
export const BLOCK = 1024;

export interface Block extends Features {
  /** The row of the set that it begins with. */
  readonly first: number;
}

/** The set's rows in order, as views. */
export function* blocksOf({ shape: [n, d], data }: Features): Generator<Block> {
  for (let first = 0; first < n; first += BLOCK) {
    const rows = Math.min(BLOCK, n - first);
    yield { first, shape: [rows, d], data: data.subarray(first * d, (first + rows) * d) };
  }
}
