import { checkSameDim, type Features } from './features.ts';
import { type Gaussian, gaussianOf } from './gaussian.ts';
import { eigenvalues, squareRoot, timesTransposed } from './symmetric-matrix.ts';

/** A reference's Gaussian with the root of its covariance, which costs most and can be kept. */
export interface RootedGaussian extends Gaussian {
  /** S^(1/2), (d, d). */
  readonly root: Float64Array;
}

export function withRoot(gaussian: Gaussian): RootedGaussian {
  return { ...gaussian, root: squareRoot(gaussian.covariance, gaussian.dim) };
}

/**
 * The squared Frechet distance of two normal distributions (Dowson and Landau 1982):
 *
 *     |m1 - m2|^2 + Tr(S1) + Tr(S2) - 2 Tr((S1^(1/2) S2 S1^(1/2))^(1/2))
 *
 * The matrix under the last root is symmetric and has the eigenvalues of S1 S2, whose own root is the usual way to write
 * it; so nothing complex can come of it, and singular covariances need no small number added.
 */
export function frechetDistance(reference: RootedGaussian, other: Gaussian): number {
  const { dim: d, mean, covariance, root } = reference;
  let distance = 0;
  for (let j = 0; j < d; j++) {
    distance += (mean[j] - other.mean[j]) ** 2 + covariance[j * d + j] + other.covariance[j * d + j];
  }
  // Both are symmetric, so a product with a transpose is the product.
  const product = timesTransposed(timesTransposed(root, other.covariance, d), root, d);
  for (let i = 0; i < d; i++)
    for (let j = 0; j < i; j++) {
      const mean = (product[i * d + j] + product[j * d + i]) / 2;
      product[i * d + j] = mean;
      product[j * d + i] = mean;
    }
  for (const value of eigenvalues(product, d)) distance -= 2 * Math.sqrt(Math.max(0, value));
  return Math.max(0, distance);
}

/**
 * Frechet inception distance (Heusel et al. 2017) of two sets of features (n, d) and (m, d): 0 for equal means and
 * covariances (with n - 1), the lower the better. It is biased by the number of images: compare equal numbers only.
 * @throws RepulsorError USAGE for sets of fewer than 2 rows or of different widths
 *
 * @example
 * fid({ shape: [3, 1], data: Float32Array.of(0, 1, 2) }, { shape: [3, 1], data: Float32Array.of(3, 4, 5) }); // 9
 */
export function fid(generated: Features, reference: Features): number {
  checkSameDim(generated, reference);
  return frechetDistance(withRoot(gaussianOf(reference)), gaussianOf(generated));
}
