/** The package's public API: what pipelines and programs may import from "repulsor". docs/api.md shows each part at work. */
export * as tf from '@tensorflow/tfjs-core';
export type { ImageBatch } from './codec/records.ts';
export { decode as decodeRecord, encode as encodeRecord } from './codec/single-object.ts';
export { unitPixels } from './codec/unit-pixels.ts';
export { type EngineChoice, type OpenedEngine, openEngine } from './engine/choose.ts';
export type {
  Engine,
  HostTensor,
  HostTensors,
  InputSpec,
  InputValue,
  Program,
  ProgramDefinition,
  ProgramFunction,
  Random,
  TensorSpec,
  Tensors,
} from './engine/engine.ts';
export { runInBatches } from './engine/run-in-batches.ts';
export { runOnce } from './engine/run-once.ts';
export { type ErrorCode, EXIT, RepulsorError } from './errors.ts';
export type {
  Appended,
  FencedWriter,
  Log,
  LogRecord,
  NewRecord,
  OffsetRange,
  ReadOptions,
  TopicKeeping,
  TopicSettings,
  Transaction,
} from './log/log.ts';
export { type OpenLogOptions, openLog } from './log/open-log.ts';
export { flowMatching } from './losses/flow-matching.ts';
export { type RepelledBatch, repulsion } from './losses/repulsion.ts';
export { DISPERSIVE, type RepulsionForm } from './losses/repulsion-form.ts';
export { NegativeQueue } from './memory-bank/queue.ts';
export { type CompiledSiT, compileSiT, type SiTBatch } from './model/compile-sit.ts';
export { createSiT, namedParameters, type SiT, type SiTInputSettings } from './model/create-sit.ts';
export { type ParameterLayout, unpack } from './model/parameters.ts';
export { nullClass, type SiTInput, type SiTSettings, sit, sitLayout } from './model/sit.ts';
export { SIT_MODELS, type SiTName, sitModel } from './model/sizes.ts';
export { type Archive, openArchive } from './operators/archive.ts';
export { augment } from './operators/augment.ts';
export { type Batch, batch } from './operators/batch.ts';
export { type Batches, type BatchesSettings, openBatches } from './operators/batches.ts';
export { deadLetter } from './operators/dead-letter.ts';
export { decode } from './operators/decode.ts';
export { fromLog } from './operators/from-log.ts';
export { Gate } from './operators/gate.ts';
export { mix } from './operators/mix.ts';
export type { SampleId, StreamPosition } from './operators/position.ts';
export { type Prefetched, prefetch } from './operators/prefetch.ts';
export type { DecodedRecord, ReadRecord, Rejection } from './operators/sample.ts';
export { shuffle } from './operators/shuffle.ts';
export { type ImageReaderSettings, openImageReader } from './registry/open-image-reader.ts';
export type { Field } from './sampling/field.ts';
export { type Integration, integrate } from './sampling/integrate.ts';
export {
  type ImageRequest,
  openSampler,
  type SampleRequest,
  type Sampler,
  type SamplerSettings,
  type Samples,
  sample,
} from './sampling/sampler.ts';
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
export { valueAndGradients } from './trainer/gradient.ts';
export { definePipeline, type Pipeline, type PipelineInput } from './trainer/pipeline.ts';
export type { GuidanceSettings, SolverSettings } from './trainer/sampling-settings.ts';
export { type Affine, scoreFrom, velocityFrom } from './transport/conversions.ts';
export type { Coefficients, Path } from './transport/path.ts';
export { PATHS, type Prediction, type TransportSettings } from './transport/transport.ts';
export { type ExportOptions, exportWeights } from './weights/export-weights.ts';
export { importWeights, type KnownOfModel, type Weights } from './weights/import-weights.ts';
