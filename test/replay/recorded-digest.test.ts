import { expect, test } from 'vitest';
import { batchDigest } from '../../src/checkpoint/digest.ts';
import { unitPixels } from '../../src/codec/unit-pixels.ts';
import { digestLike } from '../../src/replay/recorded-digest.ts';

test('pixels of a run whose journal has digests of floats are compared as floats, and others are others still', () => {
  const labels = Int32Array.of(1, 2);
  const batch = { images: Uint8Array.of(0, 100, 200, 255), labels };
  const now = batchDigest(batch);
  const older = batchDigest({ images: unitPixels(batch.images), labels });
  const other = batchDigest({ images: unitPixels(Uint8Array.of(0, 100, 200, 254)), labels });
  expect(digestLike(now, batch, now)).toEqual(now);
  expect(digestLike(null, batch, now)).toEqual(now);
  expect(digestLike(older, batch, now)).toEqual(older);
  expect(digestLike(other, batch, now)).toEqual(now);
});
