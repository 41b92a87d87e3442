import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { StreamPosition } from '../../src/operators/position.ts';
import { imageBatch, names, take } from './streams.ts';

describe('on a file log', () => {
  let folder: string;
  let log: Log;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'stream-'));
    log = await openLog(`file:${folder}`);
    await log.createTopic('images', { partitions: 3 });
    const counts = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8];
    const records = counts.map((count, i) => ({ partition: (i * i) % 3, value: imageBatch(i, count) }));
    const writer = await log.takeOver('test');
    for (const part of [records.slice(0, 5), records.slice(5)]) {
      const transaction = await writer.begin();
      await transaction.append('images', part);
      await transaction.commit();
    }
    await writer.close();
  });

  afterEach(async () => {
    await log.close();
    await rm(folder, { recursive: true });
  });

  test('a bounded stream cut after every batch is the uninterrupted one', async () => {
    const settings = { epochs: 3, window: 7, size: 4, flip: true };
    const whole = await take(log, settings);
    expect(names(whole)).toHaveLength(3 * 52);
    const pieces = [];
    let position: StreamPosition | null = null;
    while (pieces.length < whole.length) {
      const [piece] = await take(log, { ...settings, position }, 1);
      pieces.push(piece!);
      position = piece!.position;
    }
    expect(pieces).toEqual(whole);
    expect(await take(log, { ...settings, position })).toEqual([]);
  });

  test('a followed stream goes on at its position, and ends when it is closed', async () => {
    const settings = { epochs: null, window: 7, size: 4 };
    const first = await take(log, settings, 5);
    const rest = await take(log, { ...settings, position: first.at(-1)!.position }, 7);
    expect(new Set(names([...first, ...rest])).size).toBe(48);
  });
});
