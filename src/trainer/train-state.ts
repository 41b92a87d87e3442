import type { HostTensor, HostTensors } from '../engine/engine.ts';
import { projectedDim, projectionSpecs } from '../losses/projection.ts';
import { emptyQueue } from '../memory-bank/queue.ts';
import { initialParameters, type ParameterLayout, type ParameterSpec, parameterLayout } from '../model/parameters.ts';
import { sitSpecs } from '../model/sit.ts';
import { adamwInit } from '../optim/adamw.ts';
import type { Pipeline } from './pipeline.ts';
import { blocksOf, headOf, type RepulsionSettings, usesSlowCopy } from './repulsion-settings.ts';

/**
 * The train state, as the engine holds it: `params`, `adam.m`, `adam.v`, `ema` and (with momentum keys) `slow`, each
 * one flat vector laid out by `trainLayout`, and the queue (src/memory-bank/queue.ts).
 */
export function trainLayout(pipeline: Pipeline): ParameterLayout {
  const repulsion = pipeline.losses.repulsion;
  return parameterLayout([...sitSpecs(pipeline.model), ...(repulsion === null ? [] : headSpecs(pipeline, repulsion))]);
}

/** Parameters of the head of each block that repels. */
function headSpecs(pipeline: Pipeline, repulsion: RepulsionSettings): ParameterSpec[] {
  const { width } = pipeline.model;
  return blocksOf(repulsion).flatMap((block) =>
    projectionSpecs(repulsion.projection, width, tokenCount(pipeline), headOf(repulsion, block)),
  );
}

/** Tokens of one image. */
function tokenCount({ model }: Pipeline): number {
  return (model.input[0] / model.patch) * (model.input[1] / model.patch);
}

/** Width of the queue's rows: the keys of all blocks side by side. */
export function keyDim(pipeline: Pipeline): number {
  const { model, losses } = pipeline;
  if (losses.repulsion === null) return 0;
  const { projection } = losses.repulsion;
  return blocksOf(losses.repulsion).length * projectedDim(projection, model.width, tokenCount(pipeline));
}

/** Whether keys come from a slow copy of the network. */
export function hasSlowCopy(pipeline: Pipeline): boolean {
  const repulsion = pipeline.losses.repulsion;
  return repulsion !== null && usesSlowCopy(repulsion);
}

const vector = (data: Float32Array): HostTensor => ({ shape: [data.length], dtype: 'float32', data });

/** The state before the first step: a pure function of the pipeline. */
export function initialState(pipeline: Pipeline): HostTensors {
  const layout = trainLayout(pipeline);
  const params = initialParameters(layout, pipeline.seed);
  const { m, v } = adamwInit(layout.size);
  const repulsion = pipeline.losses.repulsion;
  return {
    params: vector(params),
    'adam.m': vector(m),
    'adam.v': vector(v),
    ema: vector(params.slice()),
    ...(hasSlowCopy(pipeline) ? { slow: vector(params.slice()) } : {}),
    ...(repulsion !== null && repulsion.queue > 0 ? emptyQueue(repulsion.queue, keyDim(pipeline)) : {}),
  };
}
