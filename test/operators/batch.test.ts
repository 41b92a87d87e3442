import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Encoding } from '../../src/codec/records.ts';
import { encode } from '../../src/codec/single-object.ts';
import { unitPixels } from '../../src/codec/unit-pixels.ts';
import { openBatches } from '../../src/operators/batches.ts';
import { imageBatch, SETTINGS, take, topicOf } from './streams.ts';

const record = (shape: number[], encoding: Encoding, images: Uint8Array[], labels: number[] | null = null) =>
  encode('image-batch', { shape, encoding, images, labels, eventTime: 12, source: '', encoder: null });

describe('a batch', () => {
  test('holds pixels as bytes, -1 to 1 to a model, labels with the null class, identities and event times', async () => {
    const log = await topicOf([
      record([1, 2, 1], 'RAW_U8', [Uint8Array.of(0, 255), Uint8Array.of(51, 204)], [3, 0]),
      record([1, 2, 1], 'RAW_U8', [Uint8Array.of(128, 127)]),
    ]);
    const [batch] = await take(log, { size: 3 });
    expect(batch!.images).toEqual(Uint8Array.of(0, 255, 51, 204, 128, 127));
    expect(unitPixels(batch!.images)).toEqual(
      Float32Array.of(-1, 1, 51 / 127.5 - 1, 204 / 127.5 - 1, 128 / 127.5 - 1, 127 / 127.5 - 1),
    );
    expect(batch!.labels).toEqual(Int32Array.of(3, 0, 10));
    expect(batch!.ids).toEqual([
      { topic: 'images', partition: 0, offset: 0, index: 0 },
      { topic: 'images', partition: 0, offset: 0, index: 1 },
      { topic: 'images', partition: 0, offset: 1, index: 0 },
    ]);
    expect(batch!.eventTimes).toEqual(Float64Array.of(12, 12, 12));
    expect(batch).toMatchObject({ size: 3, ordinal: 0, epoch: 0 });
  });

  test('holds latents times their scale', async () => {
    const latent = new Uint8Array(Float32Array.of(1, -2).buffer);
    const log = await topicOf([
      record([1, 1, 2], 'LATENT_F32', [latent]),
      record([1, 1, 2], 'LATENT_F16', [Uint8Array.of(0, 0x3c, 0, 0xc0)]),
    ]);
    const [first, second] = await take(log, { shape: [1, 1, 2], latentScale: 0.18215 });
    expect(first!.images).toEqual(Float32Array.of(0.18215, -0.3643));
    expect(second!.images).toEqual(first!.images);
  });

  test('that does not fill is not given out at the end, but told', async () => {
    const stream = openBatches(await topicOf([imageBatch(1, 5)]), { ...SETTINGS, size: 3 });
    expect((await stream.next())!.size).toBe(3);
    expect(await stream.next()).toBeNull();
    expect(stream.stats.leftover).toBe(2);
    await stream.close();
  });
});

describe('flips', () => {
  const [height, width, channels] = [2, 3, 4] as const;
  const shape = [height, width, channels] as const;
  const topic = () =>
    topicOf(
      Array.from({ length: 200 }, (_, i) =>
        record([...shape], 'RAW_U8', [Uint8Array.from({ length: height * width * channels }, (_, j) => i + j)]),
      ),
    );

  /** Left to right, written down another way than the code under test. */
  function mirrored(image: Float32Array | Uint8Array): Uint8Array {
    const rows = Array.from({ length: height }, (_, y) =>
      image.slice(y * width * channels, (y + 1) * width * channels),
    );
    const pixels = (row: Float32Array | Uint8Array) =>
      Array.from({ length: width }, (_, x) => [...row.slice(x * channels, (x + 1) * channels)]);
    return Uint8Array.from(rows.flatMap((row) => pixels(row).reverse().flat()));
  }

  test('mirror about half the images left to right, leave the others as they are, and follow the seed', async () => {
    const log = await topic();
    const settings = { shape, window: 50 };
    const straight = await take(log, settings);
    const flipped = await take(log, { ...settings, flip: true });
    const turned = flipped.map(({ images }, i) => {
      const isMirrored = Buffer.compare(bytesOf(images), bytesOf(mirrored(straight[i]!.images))) === 0;
      if (!isMirrored) expect(images).toEqual(straight[i]!.images);
      return isMirrored;
    });
    const share = turned.filter(Boolean).length / turned.length;
    expect(share).toBeGreaterThan(0.4);
    expect(share).toBeLessThan(0.6);
    const again = await take(log, { ...settings, flip: true, seed: 6 });
    expect(again.map(({ images }) => images)).not.toEqual(flipped.map(({ images }) => images));
  });
});

const bytesOf = (values: Float32Array | Uint8Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

describe('shuffling', () => {
  test('gives each window in another order, the same for the same seed', async () => {
    const log = await topicOf([imageBatch(1, 64)]);
    const order = async (seed: number) =>
      (await take(log, { window: 64, epochs: 2, seed })).map(({ ids }) => ids[0]!.index);
    const once = await order(1);
    expect(once).toEqual(await order(1));
    expect(once).not.toEqual(await order(2));
    expect(once.slice(0, 64)).not.toEqual(once.slice(64));
    expect(once.slice(0, 64).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, i) => i));
  });

  test('a window of 1 keeps the order of the log', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 }), async (counts) => {
        const log = await topicOf(counts.map((count, i) => imageBatch(i, count)));
        const found = (await take(log, { window: 1 })).map(({ ids }) => [ids[0]!.offset, ids[0]!.index]);
        expect(found).toEqual(counts.flatMap((count, i) => Array.from({ length: count }, (_, index) => [i, index])));
      }),
      { numRuns: 30 },
    );
  });
});
