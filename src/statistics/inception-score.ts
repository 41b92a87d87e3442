import { checkFeatures, type Features } from './features.ts';

export interface InceptionScore {
  readonly mean: number;
  /** Standard deviation over the splits (of the population, as numpy.std). */
  readonly std: number;
}

/**
 * Inception score (Salimans et al. 2016): exp(mean KL(p(y | x) || p(y))), from 1 to the number of classes, for each of so many
 * splits of the images, in their order. `probabilities` (n, classes); give the images in random order.
 * @throws RepulsorError USAGE for fewer images than splits
 */
export function inceptionScore(probabilities: Features, { splits = 10 }: { splits?: number } = {}): InceptionScore {
  checkFeatures(probabilities, splits, 'the class probabilities');
  const {
    shape: [n, classes],
    data,
  } = probabilities;
  const scores = Array.from({ length: splits }, (_, split) => {
    const [from, to] = [Math.floor((split * n) / splits), Math.floor(((split + 1) * n) / splits)];
    const marginal = new Float64Array(classes);
    for (let i = from; i < to; i++)
      for (let c = 0; c < classes; c++) marginal[c] += data[i * classes + c] / (to - from);
    let divergence = 0;
    for (let i = from; i < to; i++)
      for (let c = 0; c < classes; c++) {
        const p = data[i * classes + c];
        if (p > 0) divergence += p * Math.log(p / marginal[c]);
      }
    return Math.exp(divergence / (to - from));
  });
  const mean = scores.reduce((sum, score) => sum + score, 0) / splits;
  return { mean, std: Math.sqrt(scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / splits) };
}
