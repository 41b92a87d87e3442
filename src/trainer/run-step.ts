import { setImmediate as nextTurn } from 'node:timers/promises';
import { batchDigest } from '../checkpoint/digest.ts';
import type { StateBlobs } from '../checkpoint/state-blobs.ts';
import type { Engine, HostTensors, InputValue, Program } from '../engine/engine.ts';
import { emptyHistory, type QueueHistory, queueState } from '../memory-bank/changelog.ts';
import type { Batch } from '../operators/batch.ts';
import { learningRateAt, queueWeightAt } from '../optim/schedule.ts';
import type { Pipeline } from './pipeline.ts';
import { blobEntries, fromBlobs } from './state-blobs.ts';
import { initialState, keyDim, trainLayout } from './train-state.ts';
import { stepInputs, trainStep } from './train-step.ts';

/** What the live run and its replay share: from a committed state to a step's outcome there is one way only. */

/**
 * The train state that a commit stands for, and the queue on the host beside it; the beginning without one, in `room` where
 * there is such a thing.
 * @throws RepulsorError STATE_MISMATCH when the blobs do not fit the pipeline
 */
export function stateToTrain(
  pipeline: Pipeline,
  committed: { readonly state: StateBlobs; readonly queue: QueueHistory | null } | null,
  room?: Engine['room'],
): { state: HostTensors; queue: QueueHistory | null } {
  const capacity = pipeline.losses.repulsion?.queue ?? 0;
  const queue = committed?.queue ?? (capacity > 0 ? emptyHistory(capacity, keyDim(pipeline)) : null);
  if (committed === null) return { state: initialState(pipeline, room), queue };
  const restored = fromBlobs(committed.state, blobEntries(pipeline), trainLayout(pipeline));
  return { state: { ...restored, ...(queue && queueState(queue)) }, queue };
}

/** Compiles the step, with `state` on the device. The caller disposes it. */
export function compileStep(engine: Engine, pipeline: Pipeline, state: HostTensors): Promise<Program> {
  return engine.compile({
    name: 'train',
    seed: pipeline.seed,
    precision: pipeline.precision,
    state,
    inputs: stepInputs(pipeline),
    fn: trainStep(pipeline, engine.lanes),
  });
}

export interface StepOutputs {
  readonly outputs: HostTensors;
  readonly learningRate: number;
  /** Computed while the engine ran. */
  readonly batchDigest: Uint8Array;
  /** (B, d); null without a queue. */
  readonly keys: Float32Array | null;
}

/** What the step is fed: the batch, and the schedules' numbers at this step. */
export function stepFeed(
  pipeline: Pipeline,
  batch: Pick<Batch, 'images' | 'labels'>,
  step: number,
): Record<string, InputValue> {
  const { start = 0, ramp = 0 } = pipeline.losses.repulsion ?? {};
  return {
    images: batch.images,
    labels: batch.labels,
    step: Int32Array.of(step),
    learningRate: Float32Array.of(learningRateAt(step, pipeline.steps, pipeline.optimizer)),
    queueWeight: Float32Array.of(queueWeightAt(step, start, ramp)),
  };
}

/** Runs one step on one batch. */
export async function runStep(
  program: Program,
  pipeline: Pipeline,
  batch: Pick<Batch, 'images' | 'labels'>,
  step: number,
): Promise<StepOutputs> {
  const inputs = stepFeed(pipeline, batch, step);
  const [outputs, digest] = await Promise.all([program.run(inputs, step), digestMeanwhile(batch)]);
  const keys = (outputs['keys']?.data as Float32Array | undefined) ?? null;
  return { outputs, learningRate: learningRateAt(step, pipeline.steps, pipeline.optimizer), batchDigest: digest, keys };
}

/** By the next turn of the event loop the engine is at work on its own threads. */
async function digestMeanwhile(batch: Pick<Batch, 'images' | 'labels'>): Promise<Uint8Array> {
  await nextTurn();
  return batchDigest(batch);
}
