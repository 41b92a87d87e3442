import type { Path } from './path.ts';

/** Forms of the diffusion coefficient w(t) of dx = (v + w s) dt + sqrt(2 w) dW; any w has the same marginals. */
export const DIFFUSIONS = ['constant', 'sbdm', 'sigma', 'linear', 'decreasing', 'increasing-decreasing'] as const;
export type Diffusion = (typeof DIFFUSIONS)[number];

/** w(t) >= 0, scaled by `norm` as in the official code (Ma et al. 2024, table 2 and section 3.3). */
export function diffusionAt(form: Diffusion, norm: number, path: Path, t: number): number {
  switch (form) {
    case 'constant':
      return norm;
    case 'sbdm': // what the diffusion process of the same path has, turned round
      return norm * path.at(t).lambda;
    case 'sigma':
      return norm * path.at(t).sigma;
    case 'linear':
      return norm * (1 - t);
    case 'decreasing':
      return 0.25 * (norm * Math.cos(Math.PI * t) + 1) ** 2;
    case 'increasing-decreasing':
      return norm * Math.sin(Math.PI * t) ** 2;
  }
}
