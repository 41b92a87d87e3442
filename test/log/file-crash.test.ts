import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import { Child } from './children.ts';
import { recordNumber } from './crash-record.ts';
import { readAll } from './logs-under-test.ts';

/** Writers that are killed (SIGKILL) while they write: nothing acknowledged is lost, nothing is there twice or in part. */

const ROUNDS = 8;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'repulsor-crash-'));
  const log = await openLog(`file:${dir}`);
  for (const topic of ['plain', 'one', 'two']) await log.createTopic(topic, { partitions: 3 });
  await log.close();
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Runs a writer from `first` on for a while, kills it, and says what it had begun and what was acknowledged. */
async function killed(mode: string, first: number, round: number): Promise<{ tried: number; acknowledged: number }> {
  const child = new Child('crashing-child.ts', dir, mode, String(first));
  let tried = first - 1;
  let acknowledged = first - 1;
  const listening = (async () => {
    for (let line = await child.line(); line !== undefined; line = await child.line()) {
      const [word, number] = line.split(' ');
      if (word === 'try') tried = Number(number);
      else acknowledged = Number(number);
    }
  })();
  while (acknowledged < first + 3) await sleep(2);
  await sleep((round * 37) % 90);
  await child.kill();
  await listening;
  return { tried, acknowledged };
}

/** The values of each partition, in order. */
async function valuesOf(log: Log, topic: string): Promise<string[][]> {
  const values: string[][] = [[], [], []];
  for (const { partition, offset, value } of await readAll(log, topic)) {
    expect(offset).toBe(values[partition]!.length);
    values[partition]!.push(Buffer.from(value!).toString());
  }
  return values;
}

/** What partitions hold after appends 1 to `last`, and `extra` (partition -> also this append's records). */
function expected(numbers: readonly number[]): string[][] {
  const values: string[][] = [[], [], []];
  for (const number of numbers) {
    for (const { partition, value } of recordNumber(number)) values[partition!]!.push(Buffer.from(value!).toString());
  }
  return values;
}

test('plain appends', async () => {
  let next = 1;
  const done: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { tried, acknowledged } = await killed('plain', next, round);
    for (let number = next; number <= acknowledged; number++) done.push(number);
    const log = await openLog(`file:${dir}`);
    const found = await valuesOf(log, 'plain');
    const certain = expected(done);
    const all = expected(tried > acknowledged ? [...done, tried] : done);
    for (let partition = 0; partition < 3; partition++) {
      // Per partition the append that was under way is there or not; before it nothing is missing or changed.
      const candidates = [certain[partition]!, all[partition]!].map((values) => values.join('|'));
      expect(candidates).toContain(found[partition]!.join('|'));
    }
    await log.close();
    // Go on from what there is: the interrupted append is made whole, so that the model is simple again.
    const writer = await openLog(`file:${dir}`);
    if (tried > acknowledged) {
      const missing = recordNumber(tried).filter(
        ({ partition }) => found[partition!]!.length < all[partition!]!.length,
      );
      await writer.append('plain', missing);
      done.push(tried);
    }
    expect(await valuesOf(writer, 'plain')).toEqual(expected(done));
    await writer.close();
    next = done.at(-1)! + 1;
  }
  expect(done.length).toBeGreaterThan(ROUNDS * 3);
});

test('transactions over two topics', async () => {
  let next = 1;
  const done: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { tried, acknowledged } = await killed('transactions', next, round);
    for (let number = next; number <= acknowledged; number++) done.push(number);
    const log = await openLog(`file:${dir}`);
    const writer = await log.takeOver('id');
    expect(writer.epoch).toBe(2 * round + 2);
    const [one, two] = [await valuesOf(log, 'one'), await valuesOf(log, 'two')];
    expect(one).toEqual(two);
    const withLast = tried > acknowledged ? [...done, tried] : done;
    if (JSON.stringify(one) === JSON.stringify(expected(withLast))) done.splice(0, done.length, ...withLast);
    expect(one).toEqual(expected(done));
    await log.close();
    next = tried + 1;
  }
  expect(done.length).toBeGreaterThan(ROUNDS * 3);
});
