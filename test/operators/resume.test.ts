import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MemoryLog } from './memory-log.ts';
import { storedPosition } from './stored-position.ts';
import { fullNames, imageBatch, sourcePlans, take, takeInPieces, write, writeAll } from './streams.ts';

const shapes = fc.record({
  plans: sourcePlans,
  window: fc.integer({ min: 1, max: 12 }),
  size: fc.integer({ min: 1, max: 6 }),
  epochs: fc.integer({ min: 1, max: 3 }),
  depth: fc.integer({ min: 1, max: 3 }),
  flip: fc.boolean(),
  seed: fc.maxSafeInteger(),
});

describe('a bounded stream', () => {
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
      { numRuns: 400 },
    );
  });

  test('the same topic gives the same batches, whatever lies ahead of the trainer', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ plans, ...rest }) => {
        const log = new MemoryLog();
        const settings = { ...rest, topics: await writeAll(log, plans) };
        expect(await take(log, { ...settings, depth: 7 })).toEqual(await take(log, { ...settings, depth: 1 }));
      }),
      { numRuns: 100 },
    );
  });

  test('every usable image of the topic is emitted once an epoch, in its epoch', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ plans, ...rest }) => {
        const log = new MemoryLog();
        const settings = { ...rest, topics: await writeAll(log, plans) };
        const once = fullNames(await take(log, { ...settings, epochs: 1, size: 1 })).sort();
        const usable = plans
          .flatMap(({ records }) => records)
          .flatMap((record) =>
            record.kind === 'images' ? Array.from({ length: record.count }, (_, i) => !record.bad.includes(i)) : [],
          );
        expect(once).toHaveLength(usable.filter(Boolean).length);
        expect(new Set(once).size).toBe(once.length);
        const batches = await take(log, settings);
        const all = fullNames(batches);
        expect(all).toHaveLength(Math.floor((once.length * settings.epochs) / settings.size) * settings.size);
        for (let epoch = 0; (epoch + 1) * once.length <= all.length; epoch++) {
          expect(all.slice(epoch * once.length, (epoch + 1) * once.length).sort()).toEqual(once);
        }
        const ordinals = batches.map(({ ordinal }) => ordinal);
        expect(ordinals).toEqual(batches.map((_, i) => i * settings.size));
      }),
      { numRuns: 150 },
    );
  });

  test('a position says how many epochs are complete, and is at the very end after the last sample', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ plans, ...rest }) => {
        const log = new MemoryLog();
        // Of usable images only: records without any are read with what comes after them, not with what came before.
        const usable = plans.map((plan) => {
          const records = plan.records.map((record) => (record.kind === 'images' ? { ...record, bad: [] } : record));
          return { ...plan, records: records.filter(({ kind }) => kind === 'images' || kind === 'gap') };
        });
        const settings = { ...rest, topics: await writeAll(log, usable) };
        const batches = await take(log, { ...settings, size: 1 });
        const perEpoch = batches.length / settings.epochs;
        for (const [i, { position, epoch }] of batches.entries()) {
          expect(position.samples).toBe(i + 1);
          expect(epoch).toBe(Math.floor(i / perEpoch));
          expect(position.epoch).toBe(Math.floor((i + 1) / perEpoch));
          if (i + 1 < batches.length) continue;
          expect(position.window).toBeNull();
          expect(position.next.map(({ offset }) => offset)).toEqual(position.bounds!.map(({ begin }) => begin));
        }
        expect(await take(log, { ...settings, position: batches.at(-1)!.position })).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  test('a window that was open is finished as it was, also where the setting has changed since', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, fc.integer({ min: 2, max: 12 }), fc.nat(), async (shape, other, cut) => {
        const { plans, ...asked } = { ...shape, window: Math.max(2, shape.window), size: 1, epochs: 1 };
        const log = new MemoryLog();
        const settings = { ...asked, topics: await writeAll(log, plans) };
        const whole = await take(log, settings);
        const first = whole.slice(0, 1 + (cut % whole.length));
        const { position } = first.at(-1)!;
        const rest = await take(log, { ...settings, window: other, position });
        expect([...fullNames(first), ...fullNames(rest)].sort()).toEqual(fullNames(whole).sort());
      }),
      { numRuns: 200 },
    );
  });
});

describe('a followed stream', () => {
  test('cut after any batch and taken up at its position, it goes on as if it had not been', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, fc.integer({ min: 1, max: 5 }), async ({ plans, ...shape }, cut) => {
        const settings = { ...shape, epochs: null };
        const plan = plans[0]!;
        const log = new MemoryLog();
        // One partition: with more, what arrives first is not determined.
        await write(log, { partitions: 1, records: plan.records.map((record) => ({ ...record, partition: 0 })) });
        const usable = plan.records.reduce(
          (sum, record) =>
            sum +
            (record.kind === 'images' ? record.count - new Set(record.bad.filter((i) => i < record.count)).size : 0),
          0,
        );
        for (let i = 0; i < settings.window + settings.size; i++) {
          await log.append('images', [{ value: imageBatch(100 + i, 1) }]);
        }
        const most = Math.floor((usable + settings.size) / settings.size);
        const whole = await take(log, settings, most);
        expect(whole).toHaveLength(most);
        const first = await take(log, settings, Math.min(cut, most));
        const rest = await take(
          log,
          { ...settings, position: storedPosition(first.at(-1)!.position) },
          most - first.length,
        );
        expect([...first, ...rest]).toEqual(whole);
      }),
      { numRuns: 200 },
    );
  });
});
