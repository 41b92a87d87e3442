import { checkFeatures, type Features } from './features.ts';
import { gaussianOf } from './gaussian.ts';
import { solvePositiveDefinite } from './symmetric-matrix.ts';

/**
 * Share of images whose class a linear map of the features tells. The map is fitted to the even rows and asked of the odd
 * ones: ridge regression from standardised features to one column a class, 1 for the image's own and -1 for the others,
 *
 *     W = (X^T X + alpha I)^-1 X^T (Y - mean Y),   class = argmax(x W + mean Y)
 *
 * which has one solution, found at once, where a trained probe would depend on how it is trained.
 * @throws RepulsorError USAGE for fewer than 4 rows
 */
export function linearProbe(
  features: Features,
  labels: ArrayLike<number>,
  { classes, alpha = 1 }: { readonly classes: number; readonly alpha?: number },
): number {
  checkFeatures(features, 4, 'a set of features');
  const [n, d] = features.shape;
  const half = Math.ceil(n / 2);
  const even = new Float32Array(half * d);
  for (let i = 0; i < half; i++) even.set(features.data.subarray(2 * i * d, (2 * i + 1) * d), i * d);
  const { mean, covariance } = gaussianOf({ shape: [half, d], data: even });
  const scale = Float64Array.from(mean, (_, j) => 1 / (Math.sqrt(covariance[j * d + j]) || 1));
  const standard = (row: number) => Float64Array.from(mean, (m, j) => (features.data[row * d + j] - m) * scale[j]);

  const gram = new Float64Array(d * d);
  for (let i = 0; i < d; i++)
    for (let j = 0; j < d; j++)
      gram[i * d + j] = covariance[i * d + j] * (scale[i] * scale[j]) * (half - 1) + (i === j ? alpha : 0);
  const means = new Float64Array(classes).fill(-1);
  for (let i = 0; i < half; i++) means[labels[2 * i]!] += 2 / half;
  const moments = new Float64Array(d * classes); // X^T (Y - mean Y)
  for (let i = 0; i < half; i++) {
    const x = standard(2 * i);
    for (let j = 0; j < d; j++)
      for (let c = 0; c < classes; c++) moments[j * classes + c] += x[j] * ((labels[2 * i] === c ? 1 : -1) - means[c]);
  }
  const weights = solvePositiveDefinite(gram, d, moments, classes);

  let right = 0;
  for (let row = 1; row < n; row += 2) {
    const x = standard(row);
    const scores = Float64Array.from(means);
    for (let j = 0; j < d; j++) for (let c = 0; c < classes; c++) scores[c] += x[j] * weights[j * classes + c];
    if (scores.indexOf(Math.max(...scores)) === labels[row]) right++;
  }
  return right / Math.floor(n / 2);
}
