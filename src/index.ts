/** The package's public API: what pipelines and programs may import from "repulsor". */
export { type ErrorCode, EXIT, RepulsorError } from './errors.ts';
export { SIT_MODELS, type SiTName, sitModel } from './model/sizes.ts';
export { definePipeline, type Pipeline, type PipelineInput } from './trainer/pipeline.ts';
