import type { Features } from './features.ts';
import { blocksOf, type PairProducts } from './pair-products.ts';

/** Squared lengths of the rows. */
export function squaredLengths({ shape: [n, d], data }: Features): Float64Array {
  const lengths = new Float64Array(n);
  for (let i = 0; i < n; i++) for (let k = i * d; k < (i + 1) * d; k++) lengths[i] += data[k] * data[k];
  return lengths;
}

/** Visits the squared distance of every row of `a` to every row of `b`: |x|^2 + |y|^2 - 2 x.y, never below 0. */
export async function eachDistance(
  a: Features,
  b: Features,
  products: PairProducts,
  visit: (i: number, j: number, squared: number) => void,
): Promise<void> {
  const [ofA, ofB] = [squaredLengths(a), squaredLengths(b)];
  for (const x of blocksOf(a))
    for (const y of blocksOf(b)) {
      const values = await products(x, y);
      for (let i = 0, at = 0; i < x.shape[0]; i++)
        for (let j = 0; j < y.shape[0]; j++, at++)
          visit(x.first + i, y.first + j, Math.max(0, ofA[x.first + i] + ofB[y.first + j] - 2 * values[at]));
    }
}

/** The `k` least values that came, rising, each with what it stands for; of equal ones the first stays first. */
export class Least {
  readonly values: Float64Array;
  readonly items: Int32Array;

  constructor(k: number) {
    this.values = new Float64Array(k).fill(Number.POSITIVE_INFINITY);
    this.items = new Int32Array(k).fill(-1);
  }

  offer(value: number, item: number): void {
    let at = this.values.length;
    while (at > 0 && this.values[at - 1] > value) at--;
    if (at === this.values.length) return;
    this.values.copyWithin(at + 1, at);
    this.items.copyWithin(at + 1, at);
    this.values[at] = value;
    this.items[at] = item;
  }
}

/** For each row of the set, its nearest `k` others. */
export async function nearestOthers(set: Features, k: number, products: PairProducts): Promise<Least[]> {
  const nearest = Array.from({ length: set.shape[0] }, () => new Least(k));
  await eachDistance(set, set, products, (i, j, squared) => {
    if (i !== j) nearest[i].offer(squared, j);
  });
  return nearest;
}
