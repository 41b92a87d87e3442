import type { Path } from '../../src/transport/path.ts';
import type { Prediction } from '../../src/transport/transport.ts';

/**
 * Data from N(mean, diag(variance)): all that a network could learn of it is known. x_t is normal with mean alpha m and
 * variance alpha^2 c + sigma^2, so E[x1 | x_t] and E[x0 | x_t] are the regressions on it.
 */
export interface Gaussian {
  readonly mean: readonly number[];
  readonly variance: readonly number[];
}

/** What a perfect network gives for coordinate k. */
export function exactOutput({ mean, variance }: Gaussian, path: Path, of: Prediction, k: number, x: number, t: number) {
  const { alpha, sigma, dAlpha, dSigma } = path.at(t);
  const away = (x - alpha * mean[k]!) / (alpha ** 2 * variance[k]! + sigma ** 2);
  if (of === 'score') return -away;
  if (of === 'noise') return sigma * away;
  return dAlpha * (mean[k]! + alpha * variance[k]! * away) + dSigma * sigma * away;
}

/** Where the ODE takes a point: it keeps its place in the distribution, (x - mean) / deviation. */
export function exactFlow({ mean, variance }: Gaussian, path: Path, k: number, x: number, from: number, to: number) {
  const deviation = (t: number) => Math.sqrt(path.at(t).alpha ** 2 * variance[k]! + path.at(t).sigma ** 2);
  return path.at(to).alpha * mean[k]! + ((x - path.at(from).alpha * mean[k]!) / deviation(from)) * deviation(to);
}
