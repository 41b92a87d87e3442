import type { Commit } from '../codec/records.ts';
import { checkPipeline } from './check-pipeline.ts';
import { definePipeline, type Pipeline, type PipelineInput } from './pipeline.ts';

/**
 * The settings that the steps of a commit were trained with. An earlier version did not store what came later: it gets the
 * default; and what it said otherwise is said as it is now.
 */
export function storedPipeline({ config, generation, run }: Commit): Pipeline {
  const stored = JSON.parse(config) as PipelineInput;
  const commit = stored.commit && { ...stored.commit, ...keepAsNow(stored.commit.keep) };
  const settings = definePipeline({ ...stored, ...(commit && { commit }) });
  return checkPipeline(settings, `commit ${generation} of the run ${run}`);
}

/** It was the number of the newest commits to keep, or null for all. */
function keepAsNow(keep: unknown): { readonly keep?: Pipeline['commit']['keep'] } {
  if (keep === null) return { keep: { last: 2, every: 1 } };
  return typeof keep === 'number' ? { keep: { last: keep, every: null } } : {};
}
