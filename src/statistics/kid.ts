import { permutation } from '../random/philox.ts';
import { checkFeatures, checkSameDim, type Features, selectRows } from './features.ts';
import { blocksOf, hostProducts, type PairProducts } from './pair-products.ts';

export interface KidSettings {
  /** The mean over subsets drawn without replacement, as published: 100 of 1,000 rows by default. Null: once, over all rows. */
  readonly subsets?: { readonly count: number; readonly size: number; readonly seed: number } | null;
  readonly products?: PairProducts;
}

const PUBLISHED = { count: 100, size: 1000, seed: 0 };

export interface Kid {
  /** May lie below 0: the estimate is unbiased. */
  readonly mean: number;
  /** Standard deviation over the subsets (of the population, as numpy.std); 0 without them. */
  readonly std: number;
}

/**
 * Kernel inception distance (Binkowski et al. 2018): the unbiased estimate of the squared maximum mean discrepancy with the
 * kernel k(x, y) = (x.y / d + 1)^3,
 *
 *     sum_{i != j} k(x_i, x_j) / (n (n - 1)) + sum_{i != j} k(y_i, y_j) / (m (m - 1)) - 2 sum_{i, j} k(x_i, y_j) / (n m)
 *
 * A subset has at most as many rows as the smaller set. @throws RepulsorError USAGE
 */
export async function kid(generated: Features, reference: Features, settings: KidSettings = {}): Promise<Kid> {
  checkSameDim(generated, reference);
  checkFeatures(generated, 2, 'the generated set');
  checkFeatures(reference, 2, 'the reference');
  const { subsets = PUBLISHED, products = hostProducts } = settings;
  if (subsets === null) return { mean: await discrepancy(generated, reference, products), std: 0 };
  const size = Math.min(subsets.size, generated.shape[0], reference.shape[0]);
  // Subsets of everything are all one.
  const count = size === generated.shape[0] && size === reference.shape[0] ? 1 : subsets.count;
  const estimates: number[] = [];
  for (let i = 0; i < count; i++) {
    const drawn = (set: Features, purpose: string) =>
      selectRows(set, [...permutation(subsets.seed, purpose, i, set.shape[0]).subarray(0, size)]);
    estimates.push(await discrepancy(drawn(generated, 'kid/generated'), drawn(reference, 'kid/reference'), products));
  }
  const mean = estimates.reduce((sum, estimate) => sum + estimate, 0) / estimates.length;
  const variance = estimates.reduce((sum, estimate) => sum + (estimate - mean) ** 2, 0) / estimates.length;
  return { mean, std: Math.sqrt(variance) };
}

async function discrepancy(x: Features, y: Features, products: PairProducts): Promise<number> {
  const [n, m] = [x.shape[0], y.shape[0]];
  const within = async (set: Features, count: number) =>
    (await kernelSum(set, set, true, products)) / (count * (count - 1));
  return (await within(x, n)) + (await within(y, m)) - (2 * (await kernelSum(x, y, false, products))) / (n * m);
}

/** The sum of the kernel over pairs; of a set with itself without i = j. */
async function kernelSum(x: Features, y: Features, self: boolean, products: PairProducts): Promise<number> {
  const d = x.shape[1];
  let sum = 0;
  for (const a of blocksOf(x))
    for (const b of blocksOf(y)) {
      if (self && b.first < a.first) continue; // it equals the block across the diagonal
      const values = await products(a, b);
      const columns = b.shape[0];
      let part = 0;
      for (let i = 0; i < values.length; i++) part += (values[i] / d + 1) ** 3;
      const diagonal = self && a.first === b.first;
      if (diagonal) for (let i = 0; i < columns; i++) part -= (values[i * columns + i] / d + 1) ** 3;
      sum += self && !diagonal ? 2 * part : part;
    }
  return sum;
}
