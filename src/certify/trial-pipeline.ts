import { differingSettings, type SettingDifference } from '../checkpoint/config-difference.ts';
import type { Pipeline } from '../trainer/pipeline.ts';

/** Commits that keep their weights in a trial: enough to fall back to, few enough that old ones are removed. */
export const KEPT_COMMITS = 3;

/** So many times as a trial commits, if its steps give it the time. */
const COMMITS = 6;

/** A commit falls due by steps alone: the clock of a busy machine would choose other steps each time. */
const NEVER = 86_400;

/** The user's pipeline as the trials run it: the same data, model, losses and optimizer, for a few steps. */
export function trialPipeline(
  pipeline: Pipeline,
  over: { readonly log: string; readonly topics: readonly string[]; readonly follow: boolean; readonly steps: number },
): Pipeline {
  const { log, topics, follow, steps } = over;
  const topic = topics.length === 1 ? topics[0]! : topics;
  return {
    ...pipeline,
    log,
    source: { ...pipeline.source, topic, follow, epochs: null, from: 'earliest', ingest: null },
    // Of the scratch topics: another archive topic is not among them.
    operators: { ...pipeline.operators, mix: pipeline.operators.mix && { ...pipeline.operators.mix, topic: null } },
    steps,
    commit: {
      everySteps: Math.max(1, Math.floor(steps / COMMITS)),
      everySeconds: NEVER,
      keep: { last: KEPT_COMMITS, every: null },
      store: null,
    },
  };
}

/** What the trials change of the user's settings, for the report. The logs are named there themselves. */
export const changedSettings = (own: Pipeline, trial: Pipeline): SettingDifference[] =>
  differingSettings(own, trial, ['log', 'source.topic']);

/**
 * Samples that must lie in the topic for so many steps: whole shuffle windows that cover the batches trained and those
 * read ahead of them.
 */
export function samplesNeeded({ operators }: Pipeline, steps: number): number {
  const trained = (steps + operators.prefetch + 2) * operators.batch;
  return Math.ceil(trained / operators.shuffle) * operators.shuffle;
}
