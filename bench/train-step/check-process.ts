/** A child of the train-step benchmark: steps from given values, which it also writes to a file for the peer. */

import { encodeSafetensors } from '../../src/checkpoint/safetensors.ts';
import { writeSafetensorsFile } from '../../src/checkpoint/safetensors-file.ts';
import { openEngine } from '../../src/engine/choose.ts';
import type { HostTensor, HostTensors } from '../../src/engine/engine.ts';
import type { NativeDevice } from '../../src/engine/native/config.ts';
import { type ParameterLayout, views } from '../../src/model/parameters.ts';
import { nullClass } from '../../src/model/sit.ts';
import { learningRateAt, queueWeightAt } from '../../src/optim/schedule.ts';
import { normals, uniforms } from '../../src/random/philox.ts';
import { halfNames, inHalves, joinHalves } from '../../src/trainer/halves.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import { blocksOf } from '../../src/trainer/repulsion-settings.ts';
import { compileStep, runStep } from '../../src/trainer/run-step.ts';
import { hasSlowCopy, initialState, trainLayout } from '../../src/trainer/train-state.ts';
import { reportNames } from '../../src/trainer/train-step.ts';
import { trainingLanes } from '../../src/trainer/training-lanes.ts';
import { task } from '../child.ts';
import { givenBatch, unitRows } from './given-values.ts';

export interface CheckTask {
  readonly pipeline: Pipeline;
  readonly threads: number;
  readonly device: NativeDevice;
  readonly steps: number;
  /** Written: weights, queue, and for each step images, noise, times and labels after their dropout. */
  readonly file: string;
}

/** What came of the steps, and how far everything has moved over all of them (L2 norm of the difference). */
export interface CheckOutcome {
  readonly steps: readonly Readonly<Record<string, number>>[];
  readonly moved: Readonly<Record<string, number>>;
}

const { pipeline, threads, device, steps, file }: CheckTask = task();
const { losses, seed, operators } = pipeline;
const b = operators.batch;
const layout = trainLayout(pipeline);
const ramp = losses.repulsion?.ramp ?? 0;
/** In the middle of the ramp, so that it is compared too. */
const firstStep = (losses.repulsion?.start ?? 0) + Math.max(1, Math.ceil(ramp / 2));

/** Weights that leave no gradient at zero, as the initial ones would; a copy that differs; a queue three quarters full. */
function givenState(): HostTensors {
  const state = initialState(pipeline);
  const stirred = (from: HostTensor['data'], name: string, by: number): Float32Array => {
    const noise = normals(0, `bench/${name}`, 0, from.length);
    return Float32Array.from(from, (value, i) => value + by * noise[i]!);
  };
  const params = stirred(joinHalves(state, 'params').data, 'params', 0.02);
  Object.assign(state, inHalves('params', params, layout), inHalves('ema', params.slice(), layout));
  if (hasSlowCopy(pipeline)) Object.assign(state, inHalves('slow', stirred(params, 'slow', 0.005), layout));
  const rows = state['queue.rows'];
  if (rows !== undefined) {
    const [k, dim] = rows.shape as [number, number];
    const valid = Math.floor((3 * k) / 4);
    rows.data.set(unitRows(normals(0, 'bench/queue', 0, valid * dim), dim));
    state['queue.valid']!.data[0] = valid;
    state['queue.pointer']!.data[0] = valid;
  }
  return state;
}

const state = givenState();
const { engine } = await openEngine({ name: `native-${device}`, threads, lanes: trainingLanes(pipeline) });
const weights = ['params', 'ema', ...(hasSlowCopy(pipeline) ? ['slow'] : [])];
const before = new Map(weights.map((name) => [name, joinHalves(state, name).data]));

const scalar = (value: number): HostTensor => ({ shape: [1], dtype: 'float32', data: Float32Array.of(value) });
const exported: Record<string, HostTensor> = {};
const parts = (name: string): void => {
  if (!weights.includes(name)) return;
  for (const [part, { shape, data }] of Object.entries(views(joinHalves(state, name).data as Float32Array, layout)))
    exported[`${name}/${part}`] = { shape, dtype: 'float32', data };
};
parts('params');
parts('slow');
if (state['queue.rows'] !== undefined) {
  exported['queue/rows'] = state['queue.rows'];
  exported['queue/valid'] = scalar(state['queue.valid']!.data[0]!);
  exported['queue/pointer'] = scalar(state['queue.pointer']!.data[0]!);
}
const stepNumbers = Array.from({ length: steps }, (_, i) => firstStep + i);
for (const [i, step] of stepNumbers.entries()) {
  const { images, labels } = givenBatch(pipeline, i);
  const dropped = uniforms(seed, 'label-dropout', step, b);
  exported[`${i}/images`] = { shape: [b, ...pipeline.model.input], dtype: 'float32', data: images };
  exported[`${i}/noise`] = { ...exported[`${i}/images`]!, data: normals(seed, 'noise', step, images.length) };
  exported[`${i}/t`] = { shape: [b], dtype: 'float32', data: uniforms(seed, 'time', step, b) };
  exported[`${i}/labels`] = {
    shape: [b],
    dtype: 'int32',
    data: labels.map((label, at) => (dropped[at]! < losses.labelDropout ? nullClass(pipeline.model) : label)),
  };
  exported[`${i}/weight`] = scalar(queueWeightAt(step, losses.repulsion?.start ?? 0, ramp));
  exported[`${i}/rate`] = scalar(learningRateAt(step, pipeline.steps, pipeline.optimizer));
  exported[`${i}/step`] = scalar(step);
}
await writeSafetensorsFile(file, encodeSafetensors(exported));

const program = await compileStep(engine, pipeline, state);
const names = reportNames(pipeline);
const terms: Record<string, number>[] = [];
for (const [i, step] of stepNumbers.entries()) {
  const { outputs } = await runStep(program, pipeline, givenBatch(pipeline, i), step);
  const report = outputs['report']!.data;
  const all = Object.fromEntries(names.map((name, at) => [name, report[at]!]));
  const { total, flow, gradientNorm, repulsion } = all;
  terms.push({ total, flow, gradientNorm, ...(repulsion !== undefined && { repulsion }) } as Record<string, number>);
}
const after = await program.readState(weights.flatMap(halfNames));
const moved = Object.fromEntries(
  [...before].map(([name, then]) => [
    name,
    distance(then, joinHalves(after, name).data, name === 'slow' ? keyParts(layout) : null),
  ]),
);
process.stdout.write(`${JSON.stringify({ steps: terms, moved } satisfies CheckOutcome)}\n`);
program.dispose();

/** Where the parts lie that the keys are made of: what comes after the tapped block plays no role in them. */
function keyParts({ specs, offsets, size }: ParameterLayout): [number, number][] {
  const tap = losses.repulsion === null ? 0 : Math.max(...blocksOf(losses.repulsion));
  return specs.flatMap(({ name }, i) => {
    const block = /^blocks\.(\d+)\./.exec(name);
    const unused = name.startsWith('final_layer.') || (block !== null && Number(block[1]) >= tap);
    return unused ? [] : [[offsets[i]!, offsets[i + 1] ?? size] as [number, number]];
  });
}

function distance(then: ArrayLike<number>, now: ArrayLike<number>, parts: [number, number][] | null): number {
  let sum = 0;
  for (const [begin, end] of parts ?? [[0, then.length] as [number, number]])
    for (let i = begin; i < end; i++) sum += (now[i]! - then[i]!) ** 2;
  return Math.sqrt(sum);
}
