import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import { ReadMemory } from '../../src/log/read-memory.ts';
import type { Batch } from '../../src/operators/batch.ts';
import { type BatchesSettings, openBatches } from '../../src/operators/batches.ts';
import { MemoryLog } from './memory-log.ts';
import { imageBatch, SETTINGS, sourcePlans, take, writeAll } from './streams.ts';

/** The same log, but what it reads stays as it is. */
const keeping = (log: Log): Log =>
  Object.assign(Object.create(log) as Log, {
    read: (topic: string, options: object) => log.read(topic, { ...options, memory: undefined } as never),
    offsets: log.offsets.bind(log),
    partitions: log.partitions.bind(log),
    topicId: log.topicId.bind(log),
  });

/** By one who is slower than the reader, so that what comes next is read while a window is emitted. */
async function takeSlowly(log: Log, settings: Partial<BatchesSettings>): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of openBatches(log, { ...SETTINGS, ...settings })) {
    batches.push(batch);
    for (let turns = 0; turns < 20; turns++) await nextTurn();
  }
  return batches;
}

test('batches and their positions are those of a stream whose records nobody writes over', async () => {
  await fc.assert(
    fc.asyncProperty(
      sourcePlans,
      fc.integer({ min: 1, max: 12 }),
      fc.constantFrom(0, 0.3),
      async (plans, window, share) => {
        const log = new MemoryLog();
        const topics = await writeAll(log, plans);
        const mix = share === 0 ? null : { topic: null, share, window: 4 };
        const settings = { topics, epochs: 3, window, size: 3, flip: true, mix };
        expect(await takeSlowly(log, settings)).toEqual(await take(keeping(log), settings));
      },
    ),
    { numRuns: 60 },
  );
});

test('pieces of a file are filled anew, and a partition that ended long ago keeps the checksum of its last record', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'stream-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const log = await openLog(`file:${folder}`);
  onTestFinished(() => log.close());
  await log.createTopic('images', { partitions: 3 });
  const records = Array.from({ length: 900 }, (_, i) => ({
    partition: i < 15 ? i % 3 : i % 2,
    key: i % 5 === 0 ? Uint8Array.of(i % 256) : null,
    value: i % 70 === 40 ? Uint8Array.of(1, 2) : i % 70 === 50 ? null : imageBatch(i % 250, 1 + (i % 7)),
  }));
  await log.append('images', records);
  const taking = vi.spyOn(ReadMemory.prototype, 'take');
  onTestFinished(() => taking.mockRestore());
  const settings = { epochs: 2, window: 30, size: 4, flip: true, maxBufferedBytes: 12_000 };
  const batches = await takeSlowly(log, settings);
  const pieces = taking.mock.results.map(({ value }) => (value as Buffer).buffer);
  expect(pieces.length).toBeGreaterThan(30);
  expect(new Set(pieces).size).toBeLessThan(pieces.length / 2);
  expect(batches).toEqual(await take(keeping(log), settings));
});
