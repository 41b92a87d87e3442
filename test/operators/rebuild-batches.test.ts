import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Batch } from '../../src/operators/batch.ts';
import { type BatchIdentity, type RebuildSettings, rebuildBatches } from '../../src/operators/rebuild-batches.ts';
import { MemoryLog } from './memory-log.ts';
import { imageBatch, SETTINGS, SHAPE, sourcePlans, take, write, writeAll } from './streams.ts';

const REBUILD: RebuildSettings = { shape: SHAPE, classes: 10, flip: true, latentScale: 1, seed: SETTINGS.seed };
/** Of one image. */
const BYTES = 4 * SHAPE[0] * SHAPE[1] * SHAPE[2];

async function* identitiesOf(batches: readonly Batch[]): AsyncGenerator<BatchIdentity> {
  for (const { ids, ordinal } of batches) yield { samples: ids, ordinal };
}

async function rebuilt(log: MemoryLog, batches: readonly Batch[], over: Partial<RebuildSettings> = {}) {
  const found = [];
  for await (const { batch, missing } of rebuildBatches(log, identitiesOf(batches), { ...REBUILD, ...over }))
    found.push(batch ?? missing);
  return found;
}

test('batches come out bit for bit as the stream gave them: over topics, epochs, windows, gaps and bad images', async () => {
  const shapes = fc.record({
    plans: sourcePlans,
    window: fc.integer({ min: 1, max: 20 }),
    size: fc.integer({ min: 1, max: 4 }),
    epochs: fc.integer({ min: 1, max: 3 }),
    // From one batch at a time to all of them at once.
    held: fc.constantFrom(1, 10, 10_000),
  });
  await fc.assert(
    fc.asyncProperty(shapes, async ({ plans, window, size, epochs, held }) => {
      const log = new MemoryLog();
      const topics = await writeAll(log, plans);
      const batches = await take(log, { topics, window, size, epochs, flip: true });
      const wanted = batches.map(({ images, labels }) => ({ images, labels }));
      expect(await rebuilt(log, batches, { maxBytes: held * BYTES })).toEqual(wanted);
      expect(log.openReads).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test('flips go on where the stream was when it goes on from the middle', async () => {
  const log = new MemoryLog();
  await log.createTopic('images');
  for (let i = 0; i < 30; i++) await log.append('images', [{ value: imageBatch(i, 5) }]);
  const batches = await take(log, { window: 12, size: 4, flip: true });
  const later = batches.slice(17);
  const wanted = later.map(({ images, labels }) => ({ images, labels }));
  expect(await rebuilt(log, later)).toEqual(wanted);
  expect(await rebuilt(log, later, { seed: 6 })).not.toEqual(wanted);
  expect(await rebuilt(log, later, { flip: false })).not.toEqual(wanted);
});

test('records that nobody wants are hardly read, and each wanted one once for many batches', async () => {
  const log = new MemoryLog();
  await log.createTopic('images');
  for (let i = 0; i < 400; i++) await log.append('images', [{ value: imageBatch(i % 200, 2) }]);
  // An epoch of the first ten records and the last ten, each image in its own batch, twice over.
  const offsets = [...Array.from({ length: 10 }, (_, i) => i), ...Array.from({ length: 10 }, (_, i) => 390 + i)];
  const samples = [...offsets, ...offsets].map((offset) => ({ topic: 'images', partition: 0, offset, index: 1 }));
  async function* single(): AsyncGenerator<BatchIdentity> {
    for (const [ordinal, sample] of samples.entries()) yield { samples: [sample], ordinal };
  }
  log.handedOut = 0;
  let count = 0;
  for await (const { batch } of rebuildBatches(log, single(), REBUILD)) if (batch !== null) count++;
  expect(count).toBe(40);
  // Two pieces: of 16 batches and of the rest.
  expect(log.handedOut).toBeLessThanOrEqual(16 + 20 + 1);
});

test('what is gone is named, and only the batches that need it are lost', async () => {
  const log = new MemoryLog();
  await write(log, {
    partitions: 1,
    records: Array.from({ length: 6 }, () => ({ kind: 'images', partition: 0, count: 2, bad: [] })),
  });
  const batches = await take(log, { size: 2 });
  log.truncate('images', 0, 2);
  const found = await rebuilt(log, batches, { flip: false });
  expect(found.slice(0, 2)).toEqual([
    'images/0 offset 0 image 0: the record is not there any more',
    'images/0 offset 1 image 0: the record is not there any more',
  ]);
  expect(found.slice(2)).toEqual(batches.slice(2).map(({ images, labels }) => ({ images, labels })));
});

test('what breaks while identities are read has its turn after the batches before it', async () => {
  const log = new MemoryLog();
  await log.createTopic('images');
  for (let i = 0; i < 4; i++) await log.append('images', [{ value: imageBatch(i, 1) }]);
  const batches = await take(log, {});
  async function* broken(): AsyncGenerator<BatchIdentity> {
    yield* identitiesOf(batches.slice(0, 3));
    throw new Error('broken');
  }
  let count = 0;
  const read = async () => {
    for await (const _ of rebuildBatches(log, broken(), REBUILD)) count++;
  };
  await expect(read()).rejects.toThrow('broken');
  expect(count).toBe(3);
  expect(log.openReads).toBe(0);
});

test('who stops early leaves no read open', async () => {
  const log = new MemoryLog();
  await log.createTopic('images');
  for (let i = 0; i < 50; i++) await log.append('images', [{ value: imageBatch(i, 5) }]);
  const batches = await take(log, {});
  for await (const _ of rebuildBatches(log, identitiesOf(batches), REBUILD)) break;
  expect(log.openReads).toBe(0);
});
