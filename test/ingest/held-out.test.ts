import { expect, test } from 'vitest';
import { heldOut as heldOutImages } from '../../src/evaluation/held-out.ts';
import { sourceImages } from '../../src/evaluation/source-images.ts';
import { digits } from '../../src/ingest/digits.ts';
import { holdOut } from '../../src/ingest/held-out.ts';
import type { ImageSource } from '../../src/ingest/source.ts';

/** 23 images, and two that cannot be read. */
const source: ImageSource = {
  id: 'test',
  classes: [],
  total: 25,
  async *images() {
    for (let i = 0; i < 23; i++) {
      if (i === 3 || i === 9) yield { name: `torn before ${i}`, unreadable: 'it is torn' };
      yield { shape: [1, 1, 1], encoding: 'RAW_U8', bytes: Uint8Array.of(i), label: null, name: `${i}` };
    }
  },
};

async function namesOf(of: ImageSource): Promise<string[]> {
  const names: string[] = [];
  for await (const image of of.images()) names.push(image.name);
  return names;
}

test('every tenth readable image is held out, all others are trained on, each part in the order of the source', async () => {
  const { train, heldOut } = holdOut(source);
  expect(await namesOf(heldOut)).toEqual(['9', '19']);
  const all = await namesOf(source);
  expect(await namesOf(train)).toEqual(all.filter((name) => name !== '9' && name !== '19'));
  expect([train.total, heldOut.total]).toEqual([23, 2]);
  expect(heldOut.id).toBe('test, held out');
});

test('what is held out of the digits is what their classifier was not trained on', async () => {
  const chunks: Float32Array[] = [];
  for await (const { images } of (await sourceImages(holdOut(digits()).heldOut)).chunks()) chunks.push(images);
  const { test: held } = await heldOutImages(await sourceImages(digits()));
  expect(held.labels.length).toBe(1000);
  const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);
  expect(Buffer.concat(chunks.map(bytes)).equals(bytes(held.images))).toBe(true);
});
