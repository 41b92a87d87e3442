import type { Engine, HostTensor, HostTensors } from '../engine/engine.ts';
import { projectedDim, projectionSpecs } from '../losses/projection.ts';
import { emptyQueue } from '../memory-bank/queue.ts';
import { initialParameters, type ParameterLayout, type ParameterSpec, parameterLayout } from '../model/parameters.ts';
import { sitSpecs } from '../model/sit.ts';
import { halfName, halvesOf } from './halves.ts';
import type { Pipeline } from './pipeline.ts';
import { blocksOf, headOf, type RepulsionSettings, usesSlowCopy } from './repulsion-settings.ts';

/**
 * The train state, as the engine holds it: `params`, `adam.m`, `adam.v`, `ema` and (with momentum keys) `slow`, each the two
 * halves of a flat vector laid out by `trainLayout` (src/trainer/halves.ts), and the queue (src/memory-bank/queue.ts).
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

/**
 * The state before the first step: a pure function of the pipeline. With an engine's `room` its vectors are made where
 * `compile` takes them as they are (Engine.room), and are in memory once; one state is then good for one program.
 */
export function initialState(pipeline: Pipeline, room?: Engine['room']): HostTensors {
  const averages = ['ema', ...(hasSlowCopy(pipeline) ? ['slow'] : [])];
  const state: HostTensors = {};
  for (const [i, half] of halvesOf(trainLayout(pipeline)).entries()) {
    const zeros = (): HostTensor & { data: Float32Array } => {
      const spec = { shape: [half.size], dtype: 'float32' } as const;
      const data = room === undefined ? new Float32Array(half.size) : (room(spec).data as Float32Array).fill(0);
      return { ...spec, data };
    };
    const params = zeros();
    initialParameters(half, pipeline.seed, params.data);
    const copy = (): HostTensor => {
      const one = zeros();
      one.data.set(params.data);
      return one;
    };
    state[halfName('params', i)] = params;
    for (const average of averages) state[halfName(average, i)] = copy();
    for (const moment of ['adam.m', 'adam.v']) state[halfName(moment, i)] = zeros();
  }
  const repulsion = pipeline.losses.repulsion;
  const queue = repulsion !== null && repulsion.queue > 0 ? emptyQueue(repulsion.queue, keyDim(pipeline)) : {};
  return { ...state, ...queue };
}
