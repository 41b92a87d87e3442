import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLog } from '../../src/log/open-log.ts';
import { Child } from './children.ts';
import { recordNumber } from './crash-record.ts';

/** Readers follow a writer in another process, over the ends of segments, while it writes. */

test.each([
  ['plain', ['plain']],
  ['transactions', ['one', 'two']],
])('%s', async (mode, topics) => {
  const dir = await mkdtemp(join(tmpdir(), 'repulsor-follow-'));
  const log = await openLog(`file:${dir}`);
  for (const topic of topics) await log.createTopic(topic, { partitions: 3 });
  const child = new Child('crashing-child.ts', dir, mode, '1');
  try {
    const expected: string[][] = [[], [], []];
    for (let number = 1; number <= 150; number++) {
      for (const { partition, value } of recordNumber(number))
        expected[partition!]!.push(Buffer.from(value!).toString());
    }
    const follow = async (topic: string): Promise<string[][]> => {
      const seen: string[][] = [[], [], []];
      const from = new Map([0, 1, 2].map((partition) => [partition, 0]));
      for await (const { partition, offset, value } of log.read(topic, { from, maxBufferedBytes: 30_000 })) {
        expect(offset).toBe(seen[partition]!.length);
        seen[partition]!.push(Buffer.from(value!).toString());
        if (seen.every((values, index) => values.length >= expected[index]!.length)) return seen;
      }
      return seen;
    };
    for (const seen of await Promise.all(topics.map(follow))) {
      expect(seen.map((values, partition) => values.slice(0, expected[partition]!.length))).toEqual(expected);
    }
  } finally {
    await child.kill();
    await log.close();
    await rm(dir, { recursive: true, force: true });
  }
});
