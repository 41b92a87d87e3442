import { expect, test } from 'vitest';
import { openInput } from '../../src/trainer/input.ts';
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
  const lags = new Map<string, [records: number, seconds: number | null]>();
  const pipeline = tinyPipeline({
    source: { topic: ['ahead', 'mixed'], follow: true },
    operators: { shuffle: 1, batch: 5, prefetch: 1 },
  });
  const input = openInput(log, pipeline, null, {
    onLag: (topic, _, records, seconds) => lags.set(topic, [records, seconds]),
  });
  expect((await input.next(new AbortController().signal))!.size).toBe(5);
  for (const topic of Object.keys(times))
    for (let i = 0; i < 3; i++) await log.append(topic, [{ value: imageRecord({ eventTime: now }) }]);
  await expect.poll(() => lags.size, { timeout: 40_000 }).toBe(2);
  await input.close();
  expect(lags.get('ahead')).toEqual([3, 0]);
  expect(lags.get('mixed')![0]).toBe(3);
  expect(lags.get('mixed')![1]!).toBeGreaterThanOrEqual(3_600);
  expect(lags.get('mixed')![1]!).toBeLessThan(3_600 + 120);
}, 60_000);
