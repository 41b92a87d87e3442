import type { Path } from './path.ts';
import type { Prediction } from './transport.ts';

/**
 * At one time, velocity, score and noise are affine in each other and in x_t, since x_t = alpha x1 + sigma x0 leaves one
 * unknown (Ma et al. 2024, section 2.3): each is `x` times x_t plus `output` times what the network gives.
 */
export interface Affine {
  readonly x: number;
  readonly output: number;
}

/** The velocity E[alpha' x1 + sigma' x0 | x_t]. Scores and noise cannot give it where alpha is 0. */
export function velocityFrom(prediction: Prediction, path: Path, t: number): Affine {
  if (prediction === 'velocity') return { x: 0, output: 1 };
  const { ratio, lambda, sigma } = path.at(t);
  return { x: ratio, output: prediction === 'score' ? lambda : -lambda / sigma };
}

/** The score grad log p_t(x_t) = -E[x0 | x_t] / sigma. It is infinite where sigma is 0. */
export function scoreFrom(prediction: Prediction, path: Path, t: number): Affine {
  if (prediction === 'score') return { x: 0, output: 1 };
  const { alpha, sigma, dAlpha, dSigma } = path.at(t);
  if (prediction === 'noise') return { x: 0, output: -1 / sigma };
  const scale = sigma * (dAlpha * sigma - alpha * dSigma);
  return { x: -dAlpha / scale, output: alpha / scale };
}
