import type { StateBlobs } from '../checkpoint/state-blobs.ts';
import type { Engine, HostTensor, HostTensors } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { type ParameterLayout, views } from '../model/parameters.ts';
import { halfName, halfNames, halvesOf } from './halves.ts';
import type { Pipeline } from './pipeline.ts';
import { hasSlowCopy } from './train-state.ts';

/** Vectors of the state that a commit stores, each a blob's, its tensors' names behind a prefix. The queue has its topic. */
const STORED = [
  { vector: 'params', blob: 'model', prefix: '' },
  { vector: 'ema', blob: 'ema', prefix: '' },
  { vector: 'adam.m', blob: 'optimizer', prefix: 'm.' },
  { vector: 'adam.v', blob: 'optimizer', prefix: 'v.' },
  { vector: 'slow', blob: 'keys', prefix: '' },
] as const;

/** The entries of a pipeline's train state that go into blobs: the halves of vectors. */
export function blobEntries(pipeline: Pipeline): string[] {
  const vectors = STORED.map(({ vector }) => vector).filter((vector) => vector !== 'slow' || hasSlowCopy(pipeline));
  return vectors.flatMap(halfNames);
}

/** What is stored, half by half: its name in the state, its layout, and where it goes. */
const storedHalves = (layout: ParameterLayout) =>
  STORED.flatMap(({ vector, blob, prefix }) =>
    halvesOf(layout).map((half, i) => ({ name: halfName(vector, i), half, blob, prefix })),
  );

/** Halves of flat vectors to named tensors, which are views of them: no copy. */
export function toBlobs(state: HostTensors, layout: ParameterLayout): StateBlobs {
  const blobs: Record<string, HostTensors> = {};
  for (const { name, half, blob, prefix } of storedHalves(layout)) {
    const flat = state[name];
    if (flat === undefined) continue;
    blobs[blob] ??= {};
    for (const [tensor, view] of Object.entries(views(flat.data as Float32Array, half)))
      blobs[blob][prefix + tensor] = view;
  }
  return blobs;
}

/** Room in the engine's memory for those entries: what is read into it is copied neither by `fromBlobs` nor when it is compiled. */
export function roomForBlobs(engine: Engine, entries: readonly string[], layout: ParameterLayout): StateBlobs {
  const wanted = storedHalves(layout).filter(({ name }) => entries.includes(name));
  const rooms = wanted.map(({ name, half }) => [name, engine.room({ shape: [half.size], dtype: 'float32' })] as const);
  return toBlobs(Object.fromEntries(rooms), layout);
}

/**
 * One blob's entry as a flat vector again: the one that its tensors are views of, where they are, else a copy.
 * @throws RepulsorError STATE_MISMATCH naming the tensor that does not fit.
 */
export function flatten(blob: HostTensors, prefix: string, layout: ParameterLayout, where: string): HostTensor {
  const there = commonVector(blob, prefix, layout);
  const data = there ?? new Float32Array(layout.size);
  for (const [i, spec] of layout.specs.entries()) {
    const tensor = blob[prefix + spec.name];
    if (tensor === undefined || tensor.shape.join() !== spec.shape.join())
      throw new RepulsorError(
        'STATE_MISMATCH',
        `${where}: the tensor ${prefix + spec.name} is ${tensor === undefined ? 'not there' : `(${tensor.shape})`}, the model has (${spec.shape})`,
        { hint: 'use the settings that the run was made with; `repulsor inspect` shows them' },
      );
    if (there === null) data.set(tensor.data, layout.offsets[i]);
  }
  return { shape: [layout.size], dtype: 'float32', data };
}

/** The vector whose parts, in the layout's places, the tensors are; null when they are not. */
function commonVector(blob: HostTensors, prefix: string, layout: ParameterLayout): Float32Array | null {
  const parts = layout.specs.map(({ name }) => blob[prefix + name]?.data);
  const first = parts[0];
  if (!(first instanceof Float32Array)) return null;
  const inPlace = (part: HostTensor['data'] | undefined, i: number): boolean =>
    part instanceof Float32Array &&
    part.buffer === first.buffer &&
    part.byteOffset === first.byteOffset + 4 * layout.offsets[i];
  return parts.every(inPlace) ? new Float32Array(first.buffer, first.byteOffset, layout.size) : null;
}

/** The named entries of the train state out of a commit's blobs. @throws RepulsorError STATE_MISMATCH */
export function fromBlobs(blobs: StateBlobs, names: readonly string[], layout: ParameterLayout): HostTensors {
  const state: HostTensors = {};
  for (const { name, half, blob, prefix } of storedHalves(layout))
    if (names.includes(name)) state[name] = flatten(blobs[blob] ?? {}, prefix, half, `the blob ${blob}`);
  return state;
}
