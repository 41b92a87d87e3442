/** One variant against plain, seed by seed. */
export interface Pairs {
  /** Variant minus plain, in the order of the seeds that both have. */
  readonly differences: readonly number[];
  /** Seeds in which the variant is lower. */
  readonly lower: number;
  /**
   * Share of all ways to swap the two in each seed whose mean difference is at least as far from 0, either way: the exact
   * permutation test. Of n seeds never below 2 / 2^n.
   */
  readonly p: number;
}

/** Both by seed. Null where no seed has both. */
export function pairsOf(variant: ReadonlyMap<number, number>, plain: ReadonlyMap<number, number>): Pairs | null {
  const seeds = [...variant.keys()].filter((seed) => plain.has(seed)).sort((a, b) => a - b);
  if (seeds.length === 0) return null;
  const differences = seeds.map((seed) => variant.get(seed)! - plain.get(seed)!);
  return {
    differences,
    lower: differences.filter((difference) => difference < 0).length,
    p: permutationP(differences),
  };
}

function permutationP(differences: readonly number[]): number {
  const sumOf = (signs: number) =>
    Math.abs(differences.reduce((sum, difference, i) => sum + (signs & (1 << i) ? -difference : difference), 0));
  const ways = 2 ** differences.length;
  // Sums in another order of signs differ by rounding.
  const seen = sumOf(0) * (1 - 1e-12);
  let far = 0;
  for (let signs = 0; signs < ways; signs++) if (sumOf(signs) >= seen) far++;
  return far / ways;
}
