import { decode, encode } from '../../src/codec/single-object.ts';
import type { StreamPosition } from '../../src/operators/position.ts';

/** A position as a commit stores and gives it back. */
export function storedPosition(position: StreamPosition): StreamPosition {
  const fixed = new Uint8Array(32);
  const commit = {
    formatVersion: 1,
    run: '',
    step: 0,
    generation: 1,
    epoch: 1,
    time: 0,
    blobs: [],
    position: structuredClone(position) as never,
    negatives: { begin: 0, end: 0, capacity: 0, dim: 0, count: 0, digest: fixed },
    journalBegin: 0,
    journalEnd: 0,
    journalDigest: fixed,
    previous: fixed,
    seed: 0,
    configDigest: '',
    schemaDigest: '',
    engine: '',
    config: '',
    origin: null,
    since: null,
  };
  return decode('commit', encode('commit', commit)).position;
}
