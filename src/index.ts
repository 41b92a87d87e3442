/** The package's public API: what pipelines and programs may import from "repulsor". */
export { type ErrorCode, EXIT, RepulsorError } from './errors.ts';
export { SIT_MODELS, type SiTName, sitModel } from './model/sizes.ts';
export { alignment } from './statistics/alignment.ts';
export { effectiveRank } from './statistics/effective-rank.ts';
export type { Features } from './statistics/features.ts';
export { fid } from './statistics/fid.ts';
export { type InceptionScore, inceptionScore } from './statistics/inception-score.ts';
export { type Kid, type KidSettings, kid } from './statistics/kid.ts';
export { knnAccuracy } from './statistics/knn-accuracy.ts';
export { linearProbe } from './statistics/linear-probe.ts';
export { type Prdc, type PrdcSettings, prdc, precisionRecall } from './statistics/prdc.ts';
export { uniformity } from './statistics/uniformity.ts';
export { definePipeline, type Pipeline, type PipelineInput } from './trainer/pipeline.ts';
