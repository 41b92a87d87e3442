import { gvpPath } from './gvp-path.ts';
import { linearPath } from './linear-path.ts';
import type { Path } from './path.ts';
import { vpPath } from './vp-path.ts';

export const PATHS = { linear: linearPath, gvp: gvpPath, vp: vpPath } as const satisfies Record<string, Path>;

export const PREDICTIONS = ['velocity', 'score', 'noise'] as const;
export type Prediction = (typeof PREDICTIONS)[number];

/** What the network learns to give, along which path (Ma et al. 2024; the official code's `create_transport`). */
export interface TransportSettings {
  readonly path: keyof typeof PATHS;
  readonly prediction: Prediction;
  /** Of the loss over time; for scores and noise only. `velocity` makes it the loss of the velocity that they imply. */
  readonly weighting: 'none' | 'velocity' | 'likelihood';
  /** How far training stays from the ends that are singular; null: the official figures (`trainInterval`). */
  readonly trainEps: number | null;
}

/** SiT's own choice. */
export const DEFAULT_TRANSPORT: TransportSettings = {
  path: 'linear',
  prediction: 'velocity',
  weighting: 'none',
  trainEps: null,
};

/** First and last time, within [0, 1]. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

/** Velocities of the linear path and of GVP are finite everywhere; all else has a singular end. */
function isFiniteEverywhere({ path, prediction }: TransportSettings): boolean {
  return path !== 'vp' && prediction === 'velocity';
}

function between({ path }: TransportSettings, finite: boolean, eps: number): Interval {
  if (path === 'vp') return { from: 0, to: 1 - eps };
  return finite ? { from: 0, to: 1 } : { from: eps, to: 1 - eps };
}

/** Times that training draws from: [0, 1], but for 1e-5 (VP) or 1e-3 at a singular end. */
export function trainInterval(transport: TransportSettings): Interval {
  return between(
    transport,
    isFiniteEverywhere(transport),
    transport.trainEps ?? (transport.path === 'vp' ? 1e-5 : 1e-3),
  );
}

/** Of the ODE from noise to data: [0, 1], but for 1e-3 at a singular end. */
export function odeInterval(transport: TransportSettings, eps: number | null): Interval {
  return between(transport, isFiniteEverywhere(transport), eps ?? 1e-3);
}

/**
 * Of the SDE, which the last step of size `lastStep` follows (0: none). Where it begins at 0 by the official rule but the
 * form is `sbdm`, whose diffusion is infinite there, it begins at eps: the official default of 0 gives no numbers.
 */
export function sdeInterval(
  transport: TransportSettings,
  eps: number | null,
  diffusion: string,
  lastStep: number,
): Interval {
  const finite = isFiniteEverywhere(transport);
  const short = eps ?? 1e-3;
  const to = lastStep > 0 ? 1 - lastStep : 1 - (finite ? (eps ?? 0) : short);
  if (transport.path === 'vp') return { from: 0, to };
  return { from: diffusion === 'sbdm' || !finite ? short : 0, to };
}
