import { checkPipeline } from './check-pipeline.ts';
import { definePipeline, type Pipeline, type PipelineInput } from './pipeline.ts';

/**
 * The settings that a commit holds, whichever version made it: what came later has its default, what was said otherwise is
 * said as it is now. @throws RepulsorError CONFIG naming `where`
 */
export function storedSettings(config: string, where: string): Pipeline {
  const stored = JSON.parse(config) as PipelineInput;
  const commit = stored.commit && { ...stored.commit, ...keepAsNow(stored.commit.keep) };
  return checkPipeline(definePipeline({ ...stored, ...(commit && { commit }) }), where);
}

/** It was the number of newest commits, or null for all. */
function keepAsNow(keep: unknown): { readonly keep?: Pipeline['commit']['keep'] } {
  if (keep === null) return { keep: { last: 2, every: 1 } };
  return typeof keep === 'number' ? { keep: { last: keep, every: null } } : {};
}
