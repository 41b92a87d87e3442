import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import { bytes, collect, readAll, textOf } from './logs-under-test.ts';

/** Old records leave a file log segment by segment, when a writer opens it or begins a segment; what is left has no holes. */

const HOUR = 3_600_000;
const padded = (text: string): Uint8Array => bytes(text.padEnd(300, '.'));

let dir: string;
let log: Log;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'repulsor-retention-'));
  log = await openLog(`file:${dir}`, { file: { segmentBytes: 700 } }); // two such records fill a segment
});
afterEach(async () => {
  await log.close();
  await rm(dir, { recursive: true, force: true });
});

const reopen = async (): Promise<void> => {
  await log.close();
  log = await openLog(`file:${dir}`, { file: { segmentBytes: 700 } });
};

const segments = async (): Promise<number> =>
  (await readdir(join(dir, 'topics', 't', '0'))).filter((name) => name.endsWith('.seg')).length;

/** Appends records 0 .. ages.length - 1, each so many hours old. */
type Append = (ages: readonly number[]) => Promise<void>;
const ways: [string, (log: () => Log) => Append][] = [
  [
    'plain appends',
    (current) => async (ages) => {
      for (const age of ages)
        await current().append('t', [{ value: padded(`${age}h`), timestamp: Date.now() - age * HOUR }]);
    },
  ],
  [
    'transactions',
    (current) => async (ages) => {
      const writer = await current().takeOver('id');
      for (const age of ages) {
        const transaction = await writer.begin();
        await transaction.append('t', [{ value: padded(`${age}h`), timestamp: Date.now() - age * HOUR }]);
        await transaction.commit();
      }
      await writer.close();
    },
  ],
];

describe.each(ways)('a topic written by %s', (_, way) => {
  const append: Append = (ages) => way(() => log)(ages);
  const left = async (): Promise<(string | undefined)[]> =>
    (await readAll(log, 't')).map(({ value }) => textOf(value)?.replaceAll('.', ''));

  test('without a retention keeps everything', async () => {
    await log.createTopic('t');
    await append([90_000, 80_000, 70_000, 60_000, 50_000, 1, 0]);
    await reopen();
    await append([0]);
    expect((await left()).length).toBe(8);
    expect((await log.offsets('t', 0)).earliest).toBe(0);
  });

  test('loses its oldest segments once their newest record is too old, and begins behind them', async () => {
    await log.createTopic('t', { retentionMs: 24 * HOUR });
    await append([99, 98, 97, 96, 95, 50, 3, 2, 1]);
    await reopen();
    await append([0]);
    const { earliest, end } = await log.offsets('t', 0);
    expect(end).toBe(10);
    expect(earliest).toBeGreaterThanOrEqual(4);
    expect(earliest).toBeLessThanOrEqual(6);
    expect(await left()).toEqual(['99h', '98h', '97h', '96h', '95h', '50h', '3h', '2h', '1h', '0h'].slice(earliest));
    await expect(collect(log.read('t', { from: new Map([[0, earliest - 1]]) }))).rejects.toMatchObject({
      code: 'STATE_TRUNCATED',
    });
    await reopen();
    expect((await log.offsets('t', 0)).earliest).toBe(earliest);
  });

  test('keeps an old segment behind a young one: what is left has no holes', async () => {
    await log.createTopic('t', { retentionMs: 24 * HOUR });
    await append([1, 1, 99, 99, 99, 99, 0, 0]);
    await reopen();
    await append([0]);
    expect((await left()).length).toBe(9);
  });

  test('a reader that is overtaken by it is told', async () => {
    await log.createTopic('t', { retentionMs: 24 * HOUR });
    await append([20, 20, 20, 20, 20, 20, 20, 20]);
    const reader = await openLog(`file:${dir}`);
    const read = reader
      .read('t', { from: new Map([[0, 0]]), to: new Map([[0, 8]]), maxBufferedBytes: 1 })
      [Symbol.asyncIterator]();
    expect((await read.next()).value.offset).toBe(0);
    const now = Date.now;
    Date.now = () => now() + 30 * HOUR;
    try {
      await reopen();
      await append([0, 0, 0]);
    } finally {
      Date.now = now;
    }
    expect(await segments()).toBeLessThan(5);
    const rest = async (): Promise<void> => {
      while (!(await read.next()).done);
    };
    await expect(rest()).rejects.toMatchObject({ code: 'STATE_TRUNCATED' });
    await reader.close();
  });
});

test('segments that only a fenced or dead writer’s open transaction wrote are removed by the next writer', async () => {
  await log.createTopic('t');
  const text = async (): Promise<string[]> => (await readAll(log, 't')).map(({ value }) => textOf(value)!);
  for (let round = 0; round < 4; round++) {
    const writer = await log.takeOver('id');
    const transaction = await writer.begin();
    await transaction.append('t', [{ value: bytes(`never ${round}`) }]);
  }
  const writer = await log.takeOver('id');
  const transaction = await writer.begin();
  await transaction.append('t', [{ value: bytes('committed') }]);
  await transaction.commit();
  expect(await segments()).toBe(1);
  expect(await text()).toEqual(['committed']);
});
