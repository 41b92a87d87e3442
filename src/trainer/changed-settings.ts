import { differingSettings } from '../checkpoint/config-difference.ts';
import type { Commit } from '../codec/records.ts';
import { completedSettings } from './stored-pipeline.ts';

/** Settings that a run may go on with changed without a word, each with all below it: they shape the run, not its state. */
export const FREE_SETTINGS: readonly string[] = [
  'commit',
  'evaluation',
  'log',
  'metrics',
  'operators.badRecords',
  'operators.prefetch',
  'sampling',
  'steps',
];

/** Settings that a run may go on with changed, and says so: they fit any state. */
export const TUNABLE_SETTINGS: readonly string[] = [
  'source.registry',
  'optimizer',
  'transport.weighting',
  'transport.trainEps',
  'operators.mix',
  'losses.labelDropout',
  'losses.repulsion.lambda',
  'losses.repulsion.form',
  'losses.repulsion.view',
  'losses.repulsion.maxAge',
  'losses.repulsion.start',
  'losses.repulsion.ramp',
];

/** What to say of the settings that a run goes on with, where they are not those of its last commit. */
export function changesInWords({ config, step }: Commit, settings: unknown): string[] {
  const changes = differingSettings(completedSettings(JSON.parse(config)), settings, FREE_SETTINGS);
  return changes.map(
    ({ path, committed, wanted }) => `from step ${step} on, ${path} is ${wanted}; it was ${committed}`,
  );
}
