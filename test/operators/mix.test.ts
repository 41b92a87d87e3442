import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Batch } from '../../src/operators/batch.ts';
import { isFromArchive } from '../../src/operators/mix.ts';
import { neededOffsets } from '../../src/operators/needed-offsets.ts';
import { isSamePlace, type SampleId } from '../../src/operators/position.ts';
import { rebuildBatches } from '../../src/operators/rebuild-batches.ts';
import { MemoryLog } from './memory-log.ts';
import { storedPosition } from './stored-position.ts';
import { imageBatch, SETTINGS, SHAPE, sourcePlans, take, takeInPieces, write, writeAll } from './streams.ts';

const mixes = fc.record({
  topic: fc.constant(null),
  share: fc.constantFrom(0.1, 0.25, 0.5, 0.7),
  window: fc.integer({ min: 4, max: 40 }),
});
const shapes = fc.record({
  plans: sourcePlans,
  window: fc.integer({ min: 1, max: 12 }),
  size: fc.integer({ min: 1, max: 6 }),
  epochs: fc.integer({ min: 1, max: 3 }),
  depth: fc.integer({ min: 1, max: 3 }),
  flip: fc.boolean(),
  seed: fc.maxSafeInteger(),
  mix: mixes,
});

interface Taken {
  readonly id: SampleId;
  readonly archived: boolean;
  readonly label: number;
}

const samplesOf = (batches: readonly Batch[]): Taken[] =>
  batches.flatMap(({ ids, archived, labels }) =>
    ids.map((id, i) => ({ id, archived: archived.includes(i), label: labels[i]! })),
  );
const nameOf = ({ topic, partition, offset, index }: SampleId): string => `${topic}/${partition}/${offset}#${index}`;

/** A topic of `records` records of `images` images in one partition. */
async function logOf(records: number, images: number, topic = 'images'): Promise<MemoryLog> {
  const log = new MemoryLog();
  await log.createTopic(topic);
  for (let i = 0; i < records; i++) await log.append(topic, [{ value: imageBatch(i % 200, images) }]);
  return log;
}

describe('a mixed stream', () => {
  test('cut after any batch and taken up at its position, it is the uninterrupted stream, bit for bit', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 4 }), async (shape, cuts) => {
        const { plans, ...rest } = shape;
        const log = new MemoryLog();
        const settings = { ...rest, topics: await writeAll(log, plans) };
        const whole = await take(log, settings);
        const pieces = await takeInPieces(log, settings, cuts);
        expect(pieces).toEqual(whole);
        expect(log.openReads).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test('followed, cut after any batch, it goes on as if it had not been', async () => {
    await fc.assert(
      fc.asyncProperty(
        mixes,
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 2, max: 9 }),
        async (mix, cut, window) => {
          const log = await logOf(60, 2);
          const settings = { mix, window, size: 3, epochs: null };
          const whole = await take(log, settings, 40);
          const first = await take(log, settings, cut);
          const position = storedPosition(first.at(-1)!.position);
          expect([...first, ...(await take(log, { ...settings, position }, 40 - cut))]).toEqual(whole);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('what is new in it is the stream without a mix, and what is not was trained before, whatever lies ahead', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ plans, ...rest }) => {
        const log = new MemoryLog();
        // Of one image a batch, so that nothing is left over at the end.
        const settings = { ...rest, size: 1, topics: await writeAll(log, plans) };
        const mixed = samplesOf(await take(log, settings));
        const plain = samplesOf(await take(log, { ...settings, mix: null }));
        expect(mixed.filter(({ archived }) => !archived)).toEqual(plain);
        const before = new Map<string, number>();
        for (const { id, archived, label } of mixed) {
          if (archived) expect(before.get(nameOf(id))).toBe(label);
          else before.set(nameOf(id), label);
        }
        expect(samplesOf(await take(log, { ...settings, depth: 9 }))).toEqual(mixed);
      }),
      { numRuns: 30 },
    );
  });

  test('the archive gives its share of the samples exactly, from the first that it has anything', async () => {
    for (const share of [0.1, 0.25, 0.3, 0.5, 0.9]) {
      const log = await logOf(40, 5);
      const taken = samplesOf(await take(log, { window: 20, mix: { topic: null, share, window: 16 }, size: 1 }));
      const first = taken.findIndex(({ archived }) => archived);
      // Not before all of the first shuffle window is done with.
      expect(first).toBeGreaterThanOrEqual(20);
      expect(first).toBeLessThan(20 + 1 / share + 1);
      for (const [i, { archived }] of taken.entries()) if (i >= first) expect(archived).toBe(isFromArchive(i, share));
      const places = Array.from({ length: 1000 }, (_, i) => isFromArchive(i, share));
      for (const n of [1, 10, 77, 1000]) expect(places.slice(0, n).filter(Boolean)).toHaveLength(Math.floor(n * share));
    }
  });

  test('a window takes no image twice, and over many windows each record its part, the oldest as well as the newest', async () => {
    const log = await logOf(100, 4);
    const all = samplesOf(await take(log, { size: 1, epochs: 1 })).length;
    expect(all).toBe(400);
    // A second epoch: the archive is the whole topic. Records give at most 2 of their 4 images to a window of 64.
    const mix = { topic: null, share: 0.9, window: 64 };
    const archived = samplesOf(await take(log, { size: 1, epochs: 5, mix }, 8_000)).filter((one) => one.archived);
    const late = archived.slice(-64 * 60);
    for (let i = 0; i < late.length; i += 64) {
      const names = late.slice(i, i + 64).map(({ id }) => nameOf(id));
      // The slice may lie over the border of two windows.
      expect(new Set(names).size).toBeGreaterThan(32);
    }
    const perRecord = new Float64Array(100);
    // A place gives two images of one record.
    for (const { id } of late) perRecord[id.offset]! += 0.5;
    const expected = late.length / 2 / 100;
    const chiSquare = perRecord.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    // 99 degrees of freedom: a uniform draw is below 149 in 999 of 1000 cases; one in equal stretches is more even still.
    expect(chiSquare).toBeLessThan(149);
    const perImage = [0, 1, 2, 3].map((index) => late.filter(({ id }) => id.index === index).length);
    for (const n of perImage) expect(Math.abs(n - late.length / 4)).toBeLessThan(150);
  });

  test('of a record with more images than its part, other ones in other windows', async () => {
    const log = await logOf(60, 1);
    await log.createTopic('old');
    await log.append('old', [{ value: imageBatch(9, 40) }]);
    const taken = samplesOf(await take(log, { size: 1, mix: { topic: 'old', share: 0.5, window: 8 } }));
    const drawn = taken.filter(({ archived }) => archived).map(({ id }) => id.index);
    const windows = [0, 8, 16, 24].map((from) => new Set(drawn.slice(from, from + 8)));
    for (const window of windows) expect(window.size).toBe(8);
    expect(new Set(drawn).size).toBeGreaterThan(16);
  });

  test('other seeds draw others', async () => {
    const log = await logOf(60, 3);
    const of = async (seed: number) =>
      samplesOf(await take(log, { mix: { topic: null, share: 0.5, window: 8 }, seed }));
    expect(await of(1)).toEqual(await of(1));
    expect(await of(1)).not.toEqual(await of(2));
  });

  test('another topic is the archive as a whole, from the second sample on', async () => {
    const log = await logOf(10, 4, 'images');
    await log.createTopic('old', { partitions: 3 });
    for (let i = 0; i < 12; i++) await log.append('old', [{ partition: i % 2, value: imageBatch(100 + i, 2) }]);
    const taken = samplesOf(await take(log, { mix: { topic: 'old', share: 0.5, window: 24 }, size: 1 }));
    expect(taken.map(({ archived }) => archived)).toEqual(taken.map((_, i) => i % 2 === 1));
    const drawn = taken.filter(({ archived }) => archived);
    expect(new Set(drawn.map(({ id }) => id.topic))).toEqual(new Set(['old']));
    expect(new Set(drawn.slice(0, 24).map(({ id }) => nameOf(id))).size).toBe(24);
    await expect(take(log, { mix: { topic: 'none', share: 0.5, window: 24 } })).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
    });
  });

  test('an archive of nothing that can be used leaves its places to what is new', async () => {
    const log = await logOf(5, 4);
    await write(
      log,
      {
        partitions: 1,
        records: [
          { kind: 'garbage', partition: 0 },
          { kind: 'tombstone', partition: 0 },
        ],
      },
      'bad',
    );
    const mix = { topic: 'bad', share: 0.5, window: 8 };
    const plain = samplesOf(await take(log, { size: 1 }));
    expect(samplesOf(await take(log, { size: 1, mix }))).toEqual(plain);
  });

  test('batches come out of the journal as they were trained, those from the archive with them', async () => {
    const log = await logOf(30, 5);
    const batches = await take(log, { window: 10, size: 8, flip: true, mix: { topic: null, share: 0.5, window: 12 } });
    expect(batches.some(({ archived }) => archived.length === 4)).toBe(true);
    async function* identities() {
      for (const { ids, ordinal } of batches) yield { samples: ids, ordinal };
    }
    const found = [];
    const settings = { shape: SHAPE, classes: 10, flip: true, latentScale: 1, seed: SETTINGS.seed };
    for await (const { batch } of rebuildBatches(log, identities(), settings)) found.push(batch);
    expect(found).toEqual(batches.map(({ images, labels }) => ({ images, labels })));
  });
});

describe('where retention has removed records', () => {
  const settings = { window: 10, size: 4, mix: { topic: null, share: 0.5, window: 32 }, epochs: null };

  test('it draws from what is there, the same from the same position', async () => {
    const log = await logOf(100, 2);
    const last = (await take(log, settings, 40)).at(-1)!;
    const position = { ...storedPosition(last.position), archive: { windows: 3, open: null } };
    const done = neededOffsets(position)[0]!.offset;
    const from = done - 8;
    log.truncate('images', 0, from);
    const rest = await take(log, { ...settings, position }, 12);
    expect(await take(log, { ...settings, position }, 12)).toEqual(rest);
    const archived = samplesOf(rest).filter((one) => one.archived);
    expect(archived.length).toBeGreaterThan(20);
    for (const { id } of archived) expect(id.offset).toBeGreaterThanOrEqual(from);
  });

  test('of the window that was open: it says so and draws another one; nothing new is lost', async () => {
    const log = await logOf(100, 2);
    const whole = await take(log, settings, 40);
    const cut = whole.findIndex(({ position }, i) => i > 20 && (position.archive?.open?.consumed ?? 0) > 4);
    const position = storedPosition(whole[cut]!.position);
    const { ranges } = position.archive!.open!;
    expect(ranges).toHaveLength(1);
    expect(isSamePlace(ranges[0]!, { topic: 'images', partition: 0 })).toBe(true);
    log.truncate('images', 0, 20);
    let lost = 0;
    const onArchiveLost = () => void lost++;
    const rest = await take(log, { ...settings, position, onArchiveLost }, 40 - cut - 1);
    expect(lost).toBe(1);
    const news = (batches: readonly Batch[]) => samplesOf(batches).filter(({ archived }) => !archived);
    expect(news(rest)).toEqual(news(whole.slice(cut + 1)));
    expect(samplesOf(rest).filter(({ archived, id }) => archived && id.offset < 20)).toEqual([]);
    expect(rest[0]!.position.archive!.windows).toBe(position.archive!.windows + 1);
    // Untouched, the window is the same again, and nothing is said.
    const other = await logOf(100, 2);
    expect(await take(other, { ...settings, position, onArchiveLost }, 40 - cut - 1)).toEqual(whole.slice(cut + 1));
    expect(lost).toBe(1);
  });

  test('between the look at what is there and the read: it looks again', async () => {
    const log = await logOf(100, 2);
    const position = storedPosition((await take(log, settings, 40)).at(-1)!.position);
    const offsets = log.offsets.bind(log);
    let looks = 0;
    log.offsets = async (topic, partition) => {
      const range = await offsets(topic, partition);
      // fromLog looks once; the first draw's look is the second.
      if (++looks === 2) log.truncate('images', 0, 30);
      return range;
    };
    const closed = { ...position, archive: { windows: 3, open: null } };
    const rest = await take(log, { ...settings, position: closed }, 5);
    expect(looks).toBe(3);
    for (const { id, archived } of samplesOf(rest)) if (archived) expect(id.offset).toBeGreaterThanOrEqual(30);
  });
});

test('a changed share goes on at once, a changed window with the next draw, no mix without one', async () => {
  const log = await logOf(200, 2);
  const settings = { window: 10, size: 4, mix: { topic: null, share: 0.5, window: 16 }, epochs: null };
  const position = storedPosition((await take(log, settings, 30)).at(-1)!.position);
  const archivedIn = (batches: readonly Batch[]) => batches.reduce((sum, { archived }) => sum + archived.length, 0);
  const quarter = await take(log, { ...settings, mix: { ...settings.mix, share: 0.25 }, position }, 20);
  expect(archivedIn(quarter)).toBe(20);
  const wider = await take(log, { ...settings, mix: { ...settings.mix, window: 40 }, position }, 20);
  expect(archivedIn(wider)).toBe(40);
  const without = await take(log, { ...settings, mix: null, position }, 20);
  expect(archivedIn(without)).toBe(0);
  expect(without.at(-1)!.position.archive).toEqual({ windows: position.archive!.windows, open: null });
});
