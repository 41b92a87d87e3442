import { checkFeatures, type Features } from './features.ts';
import { eigenvalues } from './symmetric-matrix.ts';

/**
 * Effective rank (RankMe, Garrido et al. 2023): exp(-sum p log p) with p = s / |s|_1 + 1e-7 over the singular values s of
 * the features (n, d) as they are. From 1, all on one line, to min(n, d), all directions alike.
 * @throws RepulsorError USAGE
 */
export function effectiveRank(features: Features): number {
  checkFeatures(features, 1, 'a set of features');
  const values = singularValues(features);
  const sum = values.reduce((total, value) => total + value, 0);
  const entropy = values.reduce((total, value) => {
    const p = (sum === 0 ? 0 : value / sum) + 1e-7;
    return total - p * Math.log(p);
  }, 0);
  return Math.exp(entropy);
}

/**
 * Roots of the eigenvalues of X^T X or X X^T, whichever is smaller, in double precision: those below 1e-8 of the largest are
 * rounding, far below what 1e-7 leaves to be seen.
 */
function singularValues({ shape: [n, d], data }: Features): number[] {
  const small = Math.min(n, d);
  const [step, next] = n < d ? [d, 1] : [1, d];
  const length = Math.max(n, d);
  const gram = new Float64Array(small * small);
  for (let i = 0; i < small; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0, a = i * step, b = j * step; k < length; k++, a += next, b += next) sum += data[a] * data[b];
      gram[i * small + j] = sum;
      gram[j * small + i] = sum;
    }
  return eigenvalues(gram, small).map((value) => Math.sqrt(Math.max(0, value)));
}
