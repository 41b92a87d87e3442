import type { Blob } from '../codec/records.ts';
import type { HostTensors } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { contentDigest } from './blob-content.ts';
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
  // One after the other: the store's calls share the few threads that the engine's steps are called on.
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
    blobs.push({ name, sha256: await contentDigest(content), bytes: content.bytes });
  }
  return blobs;
}

/**
 * Loads and checks the named blobs, all of them by default, side by side. A tensor of the name, shape and dtype of one in
 * `into` is read into that one's memory: whoever knows where its gigabytes belong saves a copy of them.
 * @throws RepulsorError STATE_MISSING, STATE_DAMAGED naming the blob
 */
export async function getState(
  store: BlobStore,
  blobs: readonly Blob[],
  { names = blobs.map(({ name }) => name), into = {} }: { names?: readonly string[]; into?: StateBlobs } = {},
): Promise<StateBlobs> {
  const reads = await Promise.allSettled(
    names.map(async (name): Promise<[string, HostTensors]> => {
      const blob = named(blobs, name);
      const where = `the blob ${name} (${blob.sha256} in ${store.where})`;
      const file = await decodeSafetensors(store.get(blob), blob.bytes, where, into[name]);
      return [name, toHostTensors(file, where)];
    }),
  );
  // All have ended, so that nothing is written into `into` any more; the first error in their order is the one told.
  return Object.fromEntries(
    reads.map((read) => {
      if (read.status === 'rejected') throw read.reason;
      return read.value;
    }),
  );
}

function named(blobs: readonly Blob[], name: string): Blob {
  const blob = blobs.find((b) => b.name === name);
  if (blob !== undefined) return blob;
  throw new RepulsorError('STATE_MISSING', `the commit holds no blob named ${name}`, {
    hint: `It holds ${blobs.map((b) => b.name).join(', ') || 'none'}.`,
  });
}
