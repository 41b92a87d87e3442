import { isSameDigest } from '../checkpoint/digest.ts';
import { blobsOf, getState, type StateBlobs } from '../checkpoint/state-blobs.ts';
import type { BlobStore } from '../checkpoint/store.ts';
import type { Commit } from '../codec/records.ts';
import { hasCode } from '../errors.ts';
import { type QueueHistory, queueDigest } from '../memory-bank/changelog.ts';
import type { Difference, MaxDeviation } from './compare.ts';
import { larger, stateDeviation } from './deviation.ts';

/** Bit for bit: the queue's digest, and each blob's. Blobs need not be kept for it. */
export async function stateDifferences(
  { negatives, blobs }: Commit,
  store: BlobStore,
  state: StateBlobs,
  queue: QueueHistory | null,
): Promise<Difference[]> {
  const found: Difference[] = [];
  if (queue !== null && !isSameDigest(queueDigest(queue), negatives.digest))
    found.push({ what: 'queue', message: 'the queue does not have the digest of the commit' });
  const now = new Map((await blobsOf(state)).map(({ name, sha256 }) => [name, sha256]));
  const differing = blobs.filter(({ name, sha256 }) => now.get(name) !== sha256).map(({ name }) => name);
  if (differing.length === 0) return found;
  const kept = await keptState(store, { blobs }, differing);
  const worst = kept === null ? null : stateDeviation(state, kept);
  const most = worst === null ? '' : `; most in ${worst.name}, by ${worst.value}`;
  const [it, does] = differing.length === 1 ? ['blob', 'is not that'] : ['blobs', 'are not those'];
  found.push({ what: 'weights', message: `the ${it} ${differing.join(', ')} ${does} of the commit${most}` });
  return found;
}

/** By value, where the commit's blobs are still kept; null where they are not. */
export async function stateDeviations(
  { step, blobs }: Commit,
  store: BlobStore,
  state: StateBlobs,
  tolerance: number,
  max: MaxDeviation,
): Promise<Difference[] | null> {
  const kept = await keptState(store, { blobs });
  if (kept === null) return null;
  const { value, name } = stateDeviation(state, kept);
  max.weights = larger(max.weights, { value, step, name });
  return value > tolerance ? [{ what: 'weights', message: `the weights deviate by up to ${value} (${name})` }] : [];
}

/** @throws RepulsorError STATE_DAMAGED */
async function keptState(
  store: BlobStore,
  { blobs }: Pick<Commit, 'blobs'>,
  names?: readonly string[],
): Promise<StateBlobs | null> {
  try {
    return await getState(store, blobs, names && { names });
  } catch (error) {
    if (hasCode(error, 'STATE_MISSING')) return null;
    throw error;
  }
}
