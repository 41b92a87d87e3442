import type { Commit } from '../codec/records.ts';
import { checkPipeline } from './check-pipeline.ts';
import { definePipeline, type Pipeline, type PipelineInput } from './pipeline.ts';

/** The settings that the steps of a commit were trained with. */
export function storedPipeline({ config, generation, run }: Commit): Pipeline {
  return checkPipeline(completedSettings(JSON.parse(config)), `commit ${generation} of the run ${run}`);
}

/**
 * Settings as a commit has them. An earlier version did not store what came later: it gets the default; and what it said
 * otherwise is said as it is now.
 */
export function completedSettings(committed: unknown): Pipeline {
  const stored = committed as PipelineInput;
  const commit = stored.commit && { ...stored.commit, ...keepAsNow(stored.commit.keep) };
  return definePipeline({ ...stored, ...(commit && { commit }) });
}

/** It was the number of the newest commits to keep, or null for all. */
function keepAsNow(keep: unknown): { readonly keep?: Pipeline['commit']['keep'] } {
  if (keep === null) return { keep: { last: 2, every: 1 } };
  return typeof keep === 'number' ? { keep: { last: keep, every: null } } : {};
}
