import type { Diffusion } from '../transport/diffusion.ts';

export const SOLVERS = ['euler', 'heun', 'dopri5', 'euler-maruyama'] as const;
export const LAST_STEPS = ['none', 'mean', 'tweedie', 'euler'] as const;

/** Of the adaptive solver: the error of a step stays below atol + rtol |x|, in root mean square over an image. */
export interface Tolerances {
  readonly atol: number;
  readonly rtol: number;
}

/** From noise to images: the ODE, or the SDE with the same marginals. */
export interface SolverSettings extends Tolerances {
  /** `euler`, `heun` and `dopri5` solve the ODE; `euler-maruyama` the SDE. */
  readonly solver: (typeof SOLVERS)[number];
  /** Steps of a uniform grid, the SDE's last one included; `dopri5` chooses its own by its tolerances. */
  readonly steps: number;
  /** How far sampling stays from the ends that are singular; null: the official figures (src/transport/transport.ts). */
  readonly eps: number | null;
  readonly sde: {
    readonly diffusion: Diffusion;
    /** Scales the diffusion. */
    readonly norm: number;
    /**
     * What ends the SDE, from 1 - `lastStepSize` on: its drift alone (`mean`), the ODE (`euler`), E[x1 | x] (`tweedie`), or
     * nothing.
     */
    readonly lastStep: (typeof LAST_STEPS)[number];
    readonly lastStepSize: number;
  };
}

export interface GuidanceSettings {
  /** Classifier-free guidance s: v_null + s (v_label - v_null). 1 is none, and costs half. */
  readonly guidance: number;
  /** Times, from noise (0) to data (1), at which it guides (Kynkaanniemi et al. 2024); elsewhere the label alone does. */
  readonly guidanceInterval: readonly [number, number];
  /** Guide the first so many channels only; null: all. The official code guides 3 of its 4. */
  readonly guidedChannels: number | null;
}

export const DEFAULT_SOLVER: SolverSettings = {
  solver: 'euler',
  steps: 25,
  atol: 1e-6,
  rtol: 1e-3,
  eps: null,
  sde: { diffusion: 'sigma', norm: 1, lastStep: 'mean', lastStepSize: 0.04 },
};

export const DEFAULT_GUIDANCE: GuidanceSettings = { guidance: 1.5, guidanceInterval: [0, 1], guidedChannels: null };

export interface SamplingSettings extends SolverSettings, GuidanceSettings {
  /** Images of each label in the grid. */
  readonly perLabel: number;
}
