import type { StateBlobs } from '../checkpoint/state-blobs.ts';
import type { HostTensor, HostTensors } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { type ParameterLayout, views } from '../model/parameters.ts';

/** State entries that a commit stores as blobs, by blob. The queue is not among them: its topic holds it. */
const BLOBS = {
  model: { params: '' },
  ema: { ema: '' },
  optimizer: { 'adam.m': 'm.', 'adam.v': 'v.' },
  keys: { slow: '' },
} as const satisfies Record<string, Record<string, string>>;

/** The entries of the train state that go into blobs. */
export function blobEntries(state: Iterable<string>): string[] {
  const stored = new Set<string>(Object.values(BLOBS).flatMap((entries) => Object.keys(entries)));
  return [...state].filter((name) => stored.has(name));
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

/** One blob's entry as a flat vector again. @throws RepulsorError STATE_MISMATCH naming the tensor that does not fit. */
export function flatten(blob: HostTensors, prefix: string, layout: ParameterLayout, where: string): HostTensor {
  const data = new Float32Array(layout.size);
  for (const [i, spec] of layout.specs.entries()) {
    const tensor = blob[prefix + spec.name];
    if (tensor === undefined || tensor.shape.join() !== spec.shape.join())
      throw new RepulsorError(
        'STATE_MISMATCH',
        `${where}: the tensor ${prefix + spec.name} is ${tensor === undefined ? 'not there' : `(${tensor.shape})`}, the model has (${spec.shape})`,
        { hint: 'use the settings that the run was made with; `repulsor inspect` shows them' },
      );
    data.set(tensor.data, layout.offsets[i]);
  }
  return { shape: [layout.size], dtype: 'float32', data };
}

/** The train state's entries out of a commit's blobs. @throws RepulsorError STATE_MISMATCH */
export function fromBlobs(blobs: StateBlobs, layout: ParameterLayout): HostTensors {
  const state: HostTensors = {};
  for (const [blob, entries] of Object.entries(BLOBS)) {
    const tensors = blobs[blob];
    if (tensors === undefined) continue;
    for (const [entry, prefix] of Object.entries(entries))
      state[entry] = flatten(tensors, prefix, layout, `the blob ${blob}`);
  }
  return state;
}
