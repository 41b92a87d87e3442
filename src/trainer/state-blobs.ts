import type { StateBlobs } from '../checkpoint/state-blobs.ts';
import type { Engine, HostTensor, HostTensors } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { type ParameterLayout, views } from '../model/parameters.ts';
import type { Pipeline } from './pipeline.ts';
import { hasSlowCopy } from './train-state.ts';

/** State entries that a commit stores as blobs, by blob. The queue is not among them: its topic holds it. */
const BLOBS = {
  model: { params: '' },
  ema: { ema: '' },
  optimizer: { 'adam.m': 'm.', 'adam.v': 'v.' },
  keys: { slow: '' },
} as const satisfies Record<string, Record<string, string>>;

/** The entries of a pipeline's train state that go into blobs. */
export function blobEntries(pipeline: Pipeline): string[] {
  const stored: string[] = Object.values(BLOBS).flatMap((entries) => Object.keys(entries));
  return stored.filter((name) => name !== 'slow' || hasSlowCopy(pipeline));
}

/** Flat vectors to named tensors, which are views of them: no copy. */
export function toBlobs(state: HostTensors, layout: ParameterLayout): StateBlobs {
  const blobs: Record<string, HostTensors> = {};
  for (const [blob, entries] of Object.entries(BLOBS)) {
    for (const [entry, prefix] of Object.entries(entries)) {
      const flat = state[entry];
      if (flat === undefined) continue;
      blobs[blob] ??= {};
      for (const [name, tensor] of Object.entries(views(flat.data as Float32Array, layout)))
        blobs[blob][prefix + name] = tensor;
    }
  }
  return blobs;
}

/** Room in the engine's memory for those entries: what is read into it is copied neither by `fromBlobs` nor when it is compiled. */
export function roomForBlobs(engine: Engine, entries: readonly string[], layout: ParameterLayout): StateBlobs {
  const vector = () => engine.room({ shape: [layout.size], dtype: 'float32' });
  return toBlobs(Object.fromEntries(entries.map((entry) => [entry, vector()])), layout);
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
  for (const [blob, entries] of Object.entries(BLOBS))
    for (const [entry, prefix] of Object.entries(entries))
      if (names.includes(entry)) state[entry] = flatten(blobs[blob] ?? {}, prefix, layout, `the blob ${blob}`);
  return state;
}
