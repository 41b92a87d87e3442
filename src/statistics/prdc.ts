import { checkFeatures, checkSameDim, type Features } from './features.ts';
import { eachDistance, nearestOthers } from './nearest.ts';
import { hostProducts, type PairProducts } from './pair-products.ts';

export interface PrdcSettings {
  /** Neighbours that make the balls of precision and recall. Published: 3. */
  readonly k?: number;
  /** Neighbours that make the balls of density and coverage. Published: 5. */
  readonly densityK?: number;
  readonly products?: PairProducts;
}

/** All but density, which may pass 1, are shares. */
export interface Prdc {
  /** Generated images that lie within the reference. */
  readonly precision: number;
  /** Reference images that lie within what is generated. */
  readonly recall: number;
  /** Reference balls that a generated image lies in, over k: 1 where both have the same density. */
  readonly density: number;
  /** Reference images that have a generated one in their ball. */
  readonly coverage: number;
}

/**
 * Improved precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020). The ball of an image
 * reaches to its k-th nearest other image of its own set, and holds what lies on its surface.
 *
 *     precision = share of y in some ball of x          recall   = share of x in some ball of y
 *     density   = sum_{i, j} [y_j in B(x_i)] / (k m)    coverage = share of x_i with some y_j in B(x_i)
 *
 * @throws RepulsorError USAGE for sets of no more than k rows, or of different widths
 */
export async function prdc(
  generated: Features,
  reference: Features,
  { k = 3, densityK = 5, products = hostProducts }: PrdcSettings = {},
): Promise<Prdc> {
  checkSameDim(generated, reference);
  checkFeatures(generated, k + 1, 'the generated set');
  checkFeatures(reference, Math.max(k, densityK) + 1, 'the reference');
  const [n, m] = [reference.shape[0], generated.shape[0]];
  const ofReference = await nearestOthers(reference, Math.max(k, densityK), products);
  const ofGenerated = await nearestOthers(generated, k, products);
  const realistic = new Uint8Array(m);
  const recalled = new Uint8Array(n);
  const covered = new Uint8Array(n);
  let inside = 0;
  await eachDistance(reference, generated, products, (i, j, squared) => {
    if (squared <= ofReference[i].values[k - 1]) realistic[j] = 1;
    if (squared <= ofGenerated[j].values[k - 1]) recalled[i] = 1;
    if (squared <= ofReference[i].values[densityK - 1]) {
      covered[i] = 1;
      inside++;
    }
  });
  return {
    precision: share(realistic),
    recall: share(recalled),
    density: inside / (densityK * m),
    coverage: share(covered),
  };
}

/** Precision and recall alone. @throws RepulsorError USAGE */
export async function precisionRecall(
  generated: Features,
  reference: Features,
  { k = 3, products = hostProducts }: Omit<PrdcSettings, 'densityK'> = {},
): Promise<Pick<Prdc, 'precision' | 'recall'>> {
  const { precision, recall } = await prdc(generated, reference, { k, densityK: k, products });
  return { precision, recall };
}

const share = (marks: Uint8Array): number => marks.reduce((sum, mark) => sum + mark, 0) / marks.length;
