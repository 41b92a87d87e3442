import type { ProjectionSettings } from '../../src/losses/projection.ts';
import type { RepulsionForm } from '../../src/losses/repulsion-form.ts';
import { type PlainParameters, plainLinear, plainSilu } from '../model/plain-sit.ts';

/** The repulsion once more, in loops over plain float64 numbers, pair by pair: what src/losses is tested against. */

export const distance = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0);

const cosineOf = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, v, i) => sum + v * b[i]!, 0) / (Math.hypot(...a) * Math.hypot(...b));

/** A negative that is counted `weight` times. */
export interface WeightedRow {
  readonly row: readonly number[];
  readonly weight: number;
  readonly label?: number;
}

/** What some forms need besides: the batch's classes where they are looked at, the keys of second views. */
export interface PlainSides {
  readonly labels?: readonly number[];
  /** The label that stands for "not known". */
  readonly unknown?: number;
  readonly positives?: readonly number[][];
}

const add = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

/** The negatives of anchor i, one after the other. */
function negatives(
  z: readonly number[][],
  queue: readonly WeightedRow[],
  form: RepulsionForm,
  { labels, unknown }: PlainSides,
  i: number,
): WeightedRow[] {
  const own = z.map((row, j) => ({ row, weight: 1, label: labels?.[j] ?? -1, j }));
  const inBatch = form.batch ? own.filter(({ j }) => j !== i || form.includeSelf) : [];
  const all: WeightedRow[] = [...inBatch, ...queue];
  if (form.sameClass) return all;
  return all.filter(({ label }) => label !== labels![i] || label === unknown);
}

/** The repulsion in its every form, pair by pair, as src/losses states it. */
export function plainRepulsion(
  z: readonly number[][],
  queue: readonly WeightedRow[],
  form: RepulsionForm,
  sides: PlainSides = {},
): number {
  if (form.kind === 'covariance') return plainCovariance(z, queue, form);
  const divisor = form.perDimension ? z[0]!.length : 1;
  const energy = (a: readonly number[], b: readonly number[]): number => {
    if (form.kind === 'l2') return Math.exp(-distance(a, b) / divisor / form.tau);
    if (form.kind === 'hinge') return Math.max(0, form.margin - distance(a, b) / divisor) ** 2;
    return Math.exp(cosineOf(a, b) / form.tau);
  };
  const sums: number[] = [];
  const counts: number[] = [];
  z.forEach((anchor, i) => {
    const rows = negatives(z, queue, form, sides, i);
    sums.push(add(rows.map(({ row, weight }) => weight * energy(anchor, row))));
    counts.push(add(rows.map(({ weight }) => weight)));
  });
  if (form.kind === 'info-nce') {
    const positive = z.map((anchor, i) => energy(anchor, sides.positives![i]!));
    const pull = -add(positive.map(Math.log)) / z.length;
    if (form.reduction === 'global') return pull + Math.log(add(sums.map((sum, i) => sum + positive[i]!)) / z.length);
    return add(sums.map((sum, i) => -Math.log(positive[i]! / (positive[i]! + sum)))) / z.length;
  }
  const take = form.kind === 'hinge' ? (x: number) => x : Math.log;
  if (form.reduction === 'global') return add(counts) === 0 ? 0 : take(add(sums) / add(counts));
  const some = sums.flatMap((sum, i) => (counts[i]! > 0 ? [take(sum / counts[i]!)] : []));
  return some.length === 0 ? 0 : add(some) / some.length;
}

/** Entry by entry: the covariance of dimensions m and n, over the batch and the rows of the queue. */
function plainCovariance(z: readonly number[][], queue: readonly WeightedRow[], form: RepulsionForm): number {
  const all: WeightedRow[] = [...z.map((row) => ({ row, weight: 1 })), ...queue];
  const total = add(all.map(({ weight }) => weight));
  const d = z[0]!.length;
  const mean = Array.from({ length: d }, (_, m) => add(all.map(({ row, weight }) => weight * row[m]!)) / total);
  let sum = 0;
  for (let m = 0; m < d; m++) {
    for (let n = 0; n < d; n++) {
      if (m === n) continue;
      const c = add(all.map(({ row, weight }) => weight * (row[m]! - mean[m]!) * (row[n]! - mean[n]!))) / total;
      sum += c ** 2;
    }
  }
  return sum / (form.perDimension ? d : 1);
}

/** features: (B, N, D) -> (B, d). */
export function plainProject(
  features: readonly number[][][],
  parameters: PlainParameters,
  settings: ProjectionSettings,
  head = 'head',
): number[][] {
  const pool: Record<ProjectionSettings['pool'], (tokens: readonly number[][]) => number[]> = {
    flatten: (tokens) => tokens.flat(),
    mean: (tokens) => tokens[0]!.map((_, i) => add(tokens.map((token) => token[i]!)) / tokens.length),
    max: (tokens) => tokens[0]!.map((_, i) => Math.max(...tokens.map((token) => token[i]!))),
  };
  const layers = { identity: 0, linear: 1, mlp: 2, mlp3: 3 }[settings.head];
  let z = features.map((tokens) => pool[settings.pool](tokens));
  for (let layer = 0; layer < layers; layer++) {
    if (layer > 0) z = z.map((v) => v.map(plainSilu));
    z = z.map((v) => plainLinear(v, parameters, `${head}.${2 * layer}`));
  }
  if (settings.centre) {
    const mean = z[0]!.map((_, i) => z.reduce((sum, v) => sum + v[i]!, 0) / z.length);
    z = z.map((v) => v.map((x, i) => x - mean[i]!));
  }
  if (settings.normalize) z = z.map((v) => v.map((x) => x / Math.hypot(...v)));
  return z;
}
