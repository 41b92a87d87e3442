import type { Benchmark } from './benchmark.ts';

/** Every single benchmark by name, loaded when it is asked for. `all` runs them one after another (all.ts). */
export const BENCHMARKS = new Map<string, () => Promise<{ readonly benchmark: Benchmark }>>([
  ['train-step', () => import('./train-step.ts')],
  ['scaling', () => import('./scaling.ts')],
  ['pipeline', () => import('./pipeline.ts')],
  ['commit', () => import('./commit.ts')],
  ['lineage', () => import('./lineage.ts')],
  ['bits', () => import('./bits.ts')],
  ['profile', () => import('./profile.ts')],
]);
