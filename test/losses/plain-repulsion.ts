import type { ProjectionSettings } from '../../src/losses/projection.ts';
import type { RepulsionForm } from '../../src/losses/repulsion.ts';
import { type PlainParameters, plainLinear, plainSilu } from '../model/plain-sit.ts';

/** The repulsion once more, in loops over plain float64 numbers, pair by pair: what src/losses is tested against. */

export const distance = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0);

/** A negative that is counted `weight` times. */
export interface WeightedRow {
  readonly row: readonly number[];
  readonly weight: number;
}

/** log of the weighted mean of exp(-d / tau) over the pairs of each anchor, or over all pairs. */
export function plainRepulsion(z: readonly number[][], queue: readonly WeightedRow[], form: RepulsionForm): number {
  const divisor = form.tau * (form.perDimension ? z[0]!.length : 1);
  const sums: number[] = [];
  const counts: number[] = [];
  z.forEach((anchor, i) => {
    let sum = 0;
    let count = 0;
    z.forEach((other, j) => {
      if (i === j && !form.includeSelf) return;
      sum += Math.exp(-distance(anchor, other) / divisor);
      count += 1;
    });
    for (const { row, weight } of queue) {
      sum += weight * Math.exp(-distance(anchor, row) / divisor);
      count += weight;
    }
    sums.push(sum);
    counts.push(count);
  });
  const add = (values: number[]) => values.reduce((a, b) => a + b, 0);
  if (form.reduction === 'global') return Math.log(add(sums) / add(counts));
  return add(sums.map((sum, i) => Math.log(sum / counts[i]!))) / z.length;
}

/** features: (B, N, D) -> (B, d). */
export function plainProject(
  features: readonly number[][][],
  parameters: PlainParameters,
  settings: ProjectionSettings,
): number[][] {
  let z = features.map((tokens) =>
    settings.pool === 'flatten'
      ? tokens.flat()
      : tokens[0]!.map((_, i) => tokens.reduce((sum, token) => sum + token[i]!, 0) / tokens.length),
  );
  if (settings.head === 'mlp') {
    z = z.map((v) => plainLinear(plainLinear(v, parameters, 'head.0').map(plainSilu), parameters, 'head.2'));
  }
  if (settings.centre) {
    const mean = z[0]!.map((_, i) => z.reduce((sum, v) => sum + v[i]!, 0) / z.length);
    z = z.map((v) => v.map((x, i) => x - mean[i]!));
  }
  if (settings.normalize) z = z.map((v) => v.map((x) => x / Math.hypot(...v)));
  return z;
}
