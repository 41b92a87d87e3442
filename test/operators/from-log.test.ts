import { describe, expect, test } from 'vitest';
import { openBatches } from '../../src/operators/batches.ts';
import { MemoryLog } from './memory-log.ts';
import { imageBatch, names, SETTINGS, take } from './streams.ts';

async function topicOf(counts: number[], partitions = 1): Promise<MemoryLog> {
  const log = new MemoryLog();
  await log.createTopic('images', { partitions });
  for (const [i, count] of counts.entries()) {
    await log.append('images', [{ partition: i % partitions, value: imageBatch(i, count) }]);
  }
  return log;
}

describe('a bounded read', () => {
  test('of a topic without records is an error, not an endless loop', async () => {
    await expect(take(await topicOf([]), { epochs: Number.POSITIVE_INFINITY })).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
      message: expect.stringContaining('empty'),
    });
  });

  test('of a topic of tombstones or gaps alone is an error too', async () => {
    const log = await topicOf([]);
    log.skipOffsets('images', 0, 3);
    await expect(take(log, { epochs: Number.POSITIVE_INFINITY })).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
    await log.append('images', [{ value: null }]);
    await expect(take(log, { epochs: Number.POSITIVE_INFINITY })).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
  });

  test('of a topic that is not there is an error', async () => {
    await expect(take(new MemoryLog(), {})).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
  });

  test('reads what was there when the run began, also after a stop', async () => {
    const log = await topicOf([2, 2]);
    const [first] = await take(log, { epochs: 2 }, 1);
    await log.append('images', [{ value: imageBatch(9, 1) }]);
    const rest = await take(log, { epochs: 2, position: first!.position });
    expect(names([first!, ...rest])).toEqual([0, 1].flatMap(() => ['0/0#0', '0/0#1', '0/1#0', '0/1#1']));
  });

  test('goes on for ever when asked to', async () => {
    const batches = await take(await topicOf([1, 1]), { epochs: Number.POSITIVE_INFINITY }, 50);
    expect(batches.at(-1)!.epoch).toBe(24);
  });

  test('a record of the open window that retention removed is named', async () => {
    const log = await topicOf([1, 1, 1, 1, 1, 1]);
    const [first] = await take(log, { window: 4, epochs: 2 }, 1);
    log.truncate('images', 0, 1);
    await expect(take(log, { window: 4, epochs: 2, position: first!.position })).rejects.toMatchObject({
      code: 'STATE_TRUNCATED',
    });
  });

  test('a topic that was made anew and is shorter is refused', async () => {
    const [first] = await take(await topicOf([1, 1, 1]), { epochs: 2 }, 1);
    await expect(take(await topicOf([1]), { epochs: 2, position: first!.position })).rejects.toMatchObject({
      code: 'STATE_MISSING',
    });
  });

  test('a position of another topic or mode is refused', async () => {
    const log = await topicOf([1, 1, 1]);
    const [first] = await take(log, { epochs: 2 }, 1);
    await log.createTopic('others');
    await expect(take(log, { topics: ['others'], position: first!.position })).rejects.toMatchObject({
      code: 'STATE_MISMATCH',
    });
    await expect(take(log, { epochs: null, position: first!.position })).rejects.toMatchObject({
      code: 'STATE_MISMATCH',
    });
  });

  test('a record that gives fewer images than were taken from its window is refused', async () => {
    const log = await topicOf([4]);
    const batches = await take(log, { window: 4 }, 3);
    const limits = { recordBytes: 1, images: 1, side: 1, channels: 1, decodedBytes: 1 };
    await expect(take(log, { window: 4, position: batches.at(-1)!.position, limits })).rejects.toMatchObject({
      code: 'STATE_MISMATCH',
    });
  });
});

describe('a followed read', () => {
  test('gives what is appended later, and waits for a whole batch', async () => {
    const log = await topicOf([2]);
    const stream = openBatches(log, { ...SETTINGS, epochs: null, size: 3 });
    const next = stream.next();
    const early = await Promise.race([next, new Promise((resolve) => setTimeout(resolve, 30, 'waits'))]);
    expect(early).toBe('waits');
    await log.append('images', [{ value: imageBatch(1, 2) }]);
    expect(names([(await next)!])).toEqual(['0/0#0', '0/0#1', '0/1#0']);
    await stream.close();
    expect(log.openReads).toBe(0);
  });

  test('is let go of when who iterates it has had enough', async () => {
    const log = await topicOf([2, 2]);
    for await (const taken of openBatches(log, { ...SETTINGS, epochs: null, size: 3 })) {
      expect(names([taken])).toEqual(['0/0#0', '0/0#1', '0/1#0']);
      break;
    }
    expect(log.openReads).toBe(0);
  });

  test('can begin at the end', async () => {
    const log = await topicOf([2, 2]);
    const stream = openBatches(log, { ...SETTINGS, epochs: null, from: 'latest' });
    const next = stream.next();
    await new Promise((resolve) => setTimeout(resolve, 10));
    await log.append('images', [{ value: imageBatch(3, 1) }]);
    expect(names([(await next)!])).toEqual(['0/2#0']);
    await stream.close();
  });

  test('reads a partition that came later from its start', async () => {
    const [known] = await take(await topicOf([1, 1]), { epochs: null }, 1);
    const grown = await topicOf([1, 1, 1, 1], 2);
    const rest = await take(grown, { epochs: null, position: known!.position }, 3);
    expect(names(rest).sort()).toEqual(['0/1#0', '1/0#0', '1/1#0']);
  });

  test('several partitions: every sample once over a stop, wherever it stops', async () => {
    const log = await topicOf([2, 3, 1, 4, 2, 3, 2, 1, 2], 3);
    for (let most = 1; most < 16; most++) {
      const first = await take(log, { epochs: null, window: 4 }, most);
      const rest = await take(log, { epochs: null, window: 4, position: first.at(-1)!.position }, 16 - most);
      expect(new Set(names([...first, ...rest])).size).toBe(16);
    }
  });
});

describe('closing', () => {
  test('while it waits for records gives null to whoever waits, and lets go of the log', async () => {
    const log = await topicOf([]);
    const stream = openBatches(log, { ...SETTINGS, epochs: null });
    const next = stream.next();
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(log.openReads).toBe(1);
    await stream.close();
    expect(await next).toBeNull();
    expect(await stream.next()).toBeNull();
    expect(log.openReads).toBe(0);
  });

  test('after an error does not hang', async () => {
    const stream = openBatches(new MemoryLog(), SETTINGS);
    await expect(stream.next()).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
    await expect(stream.next()).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
    await stream.close();
  });
});
