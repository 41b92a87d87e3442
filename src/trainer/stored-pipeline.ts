import type { Commit } from '../codec/records.ts';
import { checkPipeline } from './check-pipeline.ts';
import { definePipeline, type Pipeline } from './pipeline.ts';

/** The settings that the steps of a commit were trained with. An earlier version did not store what came later. */
export function storedPipeline({ config, generation, run }: Commit): Pipeline {
  return checkPipeline(definePipeline(JSON.parse(config)), `commit ${generation} of the run ${run}`);
}
