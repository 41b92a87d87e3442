import { expect, test } from 'vitest';
import { imageBatchReader } from '../../src/codec/image-batch-reader.ts';
import type { Log } from '../../src/log/log.ts';
import { openInput } from '../../src/trainer/input.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import { MemoryLog } from '../operators/memory-log.ts';
import { imageRecord, tinyPipeline } from './tiny-run.ts';

test('lag is by partition the age of the latest event time read there, whatever order they come in, and never negative', async () => {
  const log = new MemoryLog();
  const now = Date.now();
  const hour = 3_600_000;
  // A writer whose clock is ahead, one whose records come in the wrong order, and one of whom nothing was read yet.
  const times = { ahead: [now + hour, now + 2 * hour], mixed: [now - 3 * hour, now - hour, now - 2 * hour] };
  for (const [topic, eventTimes] of Object.entries(times)) {
    await log.createTopic(topic);
    for (const eventTime of eventTimes)
      await log.append(topic, [{ value: imageRecord({ eventTime }), timestamp: hour }]);
  }
  const pipeline = tinyPipeline({
    source: { topic: ['ahead', 'mixed'], follow: true },
    operators: { shuffle: 1, batch: 5, prefetch: 1 },
  });
  const { input, lags } = openWatched(log, pipeline);
  expect((await input.next(new AbortController().signal))!.size).toBe(5);
  for (const topic of Object.keys(times))
    for (let i = 0; i < 3; i++) await log.append(topic, [{ value: imageRecord({ eventTime: now }) }]);
  const again = await lagsOfMixed();
  await expect.poll(() => lags.size + again.lags.size, { timeout: 40_000 }).toBe(4);
  await input.close();
  await again.input.close();
  expect(again.lags.get('rare')![0]).toBe(1);
  expect(again.lags.get('rare')![1]!).toBeLessThan(3_600 + 120);
  expect(lags.get('ahead')).toEqual([3, 0]);
  expect(lags.get('mixed')![0]).toBe(3);
  expect(lags.get('mixed')![1]!).toBeGreaterThanOrEqual(3_600);
  expect(lags.get('mixed')![1]!).toBeLessThan(3_600 + 120);
}, 60_000);

/** Of `rare` two records come early, the later one an hour old; afterwards only the archive brings them again. */
async function lagsOfMixed() {
  const log = new MemoryLog();
  const now = Date.now();
  for (const topic of ['often', 'rare']) await log.createTopic(topic);
  const append = (topic: string, hours: number) =>
    log.append(topic, [{ value: imageRecord({ eventTime: now - hours * 3_600_000 }) }]);
  for (const hours of [5, 1]) await append('rare', hours);
  for (let i = 0; i < 40; i++) await append('often', 1);
  const pipeline = tinyPipeline({
    source: { topic: ['often', 'rare'], follow: true },
    operators: { shuffle: 1, batch: 4, prefetch: 1, mix: { topic: null, share: 0.5, window: 8 } },
  });
  const { input, lags } = openWatched(log, pipeline);
  let old = 0;
  for (let taken = 0; taken < 18; taken++) {
    const batch = (await input.next(new AbortController().signal))!;
    if (taken > 2) old += batch.archived.filter((i) => batch.ids[i]!.topic === 'rare').length;
  }
  expect(old).toBeGreaterThan(0);
  await append('rare', 0);
  return { input, lags };
}

/** The input, and by topic what was told last of its lag. */
function openWatched(log: Log, pipeline: Pipeline) {
  const lags = new Map<string, [records: number, seconds: number | null]>();
  const onLag = (topic: string, _: unknown, records: number, seconds: number | null) =>
    lags.set(topic, [records, seconds]);
  return { input: openInput(log, pipeline, null, { onLag }, imageBatchReader(null)), lags };
}
