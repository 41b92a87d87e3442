import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Blob } from '../codec/records.ts';
import type { HostTensors } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { decodeSafetensors, encodeSafetensors, toHostTensors } from './safetensors.ts';
import type { BlobContent, BlobStore } from './store.ts';

/** A state by blob ("model", "ema", "optimizer"): what changes together or is wanted alone lies in one. */
export type StateBlobs = Readonly<Record<string, HostTensors>>;

/**
 * Stores each blob of a state, durable when it resolves. A blob's bytes depend on its tensors alone, so what did not
 * change since the last commit has the same address and is not written again.
 */
export async function putState(
  store: BlobStore,
  state: StateBlobs,
  owner: number,
): Promise<{ blobs: Blob[]; bytesWritten: number }> {
  const blobs: Blob[] = [];
  let bytesWritten = 0;
  for (const name of Object.keys(state).sort()) {
    const { ref, written } = await store.put(blobContent(name, state[name]!), owner);
    blobs.push({ name, ...ref });
    if (written) bytesWritten += ref.bytes;
  }
  return { blobs, bytesWritten };
}

/** A blob's bytes: a function of its name and tensors. */
function blobContent(name: string, tensors: HostTensors): BlobContent {
  return encodeSafetensors(tensors, { repulsor: name });
}

/** What `putState` would call the blobs of a state, without storing any. */
export async function blobsOf(state: StateBlobs): Promise<Blob[]> {
  const blobs: Blob[] = [];
  for (const name of Object.keys(state).sort()) {
    const content = blobContent(name, state[name]!);
    const hash = createHash('sha256');
    for (const chunk of content.chunks()) {
      hash.update(chunk);
      await nextTurn();
    }
    blobs.push({ name, sha256: hash.digest('hex'), bytes: content.bytes });
  }
  return blobs;
}

/**
 * Loads and checks the named blobs, all of them by default.
 * @throws RepulsorError STATE_MISSING, STATE_DAMAGED naming the blob
 */
export async function getState(
  store: BlobStore,
  blobs: readonly Blob[],
  names: readonly string[] = blobs.map(({ name }) => name),
): Promise<StateBlobs> {
  const state: [string, HostTensors][] = [];
  for (const name of names) {
    const blob = blobs.find((b) => b.name === name);
    if (blob === undefined) {
      throw new RepulsorError('STATE_MISSING', `the commit holds no blob named ${name}`, {
        hint: `It holds ${blobs.map((b) => b.name).join(', ') || 'none'}.`,
      });
    }
    const where = `the blob ${name} (${blob.sha256} in ${store.where})`;
    state.push([name, toHostTensors(await decodeSafetensors(store.get(blob), blob.bytes, where), where)]);
  }
  return Object.fromEntries(state);
}
