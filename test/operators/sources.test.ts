import { describe, expect, test } from 'vitest';
import { openBatches } from '../../src/operators/batches.ts';
import { MemoryLog } from './memory-log.ts';
import { fullNames, imageBatch, SETTINGS, take } from './streams.ts';

/** Topics `a` and `b`, `counts` records of one image in each partition of each. */
async function twoTopics(counts: { a: number[]; b: number[] } = { a: [2, 2], b: [2] }): Promise<MemoryLog> {
  const log = new MemoryLog();
  let image = 0;
  for (const [topic, partitions] of Object.entries(counts)) {
    await log.createTopic(topic, { partitions: partitions.length });
    for (const [partition, count] of partitions.entries())
      for (let i = 0; i < count; i++) await log.append(topic, [{ partition, value: imageBatch(image++, 1) }]);
  }
  return log;
}

const BOTH = { topics: ['a', 'b'] };
const FOLLOWED = { ...BOTH, epochs: null };
/** The stream looks for new partitions and at the topics' ids every five seconds; a busy machine needs more. */
const UNTIL_LOOKED = { timeout: 40_000 };

describe('several topics', () => {
  test('in epochs: one record of each partition in turn, by topic and number', async () => {
    expect(fullNames(await take(await twoTopics({ a: [3, 1], b: [2] }), BOTH))).toEqual(
      ['a/0/0', 'a/1/0', 'b/0/0', 'a/0/1', 'b/0/1', 'a/0/2'].map((name) => `${name}#0`),
    );
  });

  test('of which one is missing, or empty: the error names it, and all that are missing', async () => {
    const log = await twoTopics();
    for (const epochs of [1, null])
      await expect(take(log, { topics: ['a', 'x', 'y'], epochs })).rejects.toMatchObject({
        code: 'TOPIC_MISSING',
        message: 'there is no topic x, y in memory:',
      });
    await log.createTopic('c');
    await expect(take(log, { topics: ['a', 'b', 'c'] })).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
      message: expect.stringMatching(/^the topic c is empty/),
    });
    await log.append('c', [{ value: null }]);
    await expect(take(log, { topics: ['a', 'b', 'c'] })).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
      message: expect.stringMatching(/^the topic c holds no record with a value/),
    });
  });

  test('followed: an empty one is waited for, and holds up no other', async () => {
    const log = await twoTopics({ a: [2], b: [0] });
    const stream = openBatches(log, { ...SETTINGS, ...FOLLOWED });
    expect(fullNames([(await stream.next())!, (await stream.next())!])).toEqual(['a/0/0#0', 'a/0/1#0']);
    const next = stream.next();
    await log.append('b', [{ value: imageBatch(9, 1) }]);
    expect(fullNames([(await next)!])).toEqual(['b/0/0#0']);
    await stream.close();
    expect(log.openReads).toBe(0);
  });

  test('followed: every sample once over stops, shuffled over both, wherever it stops', async () => {
    const log = await twoTopics({ a: [4, 3], b: [5] });
    for (let most = 1; most < 12; most++) {
      const first = await take(log, { ...FOLLOWED, window: 4 }, most);
      const position = JSON.parse(JSON.stringify(first.at(-1)!.position));
      const rest = await take(log, { ...FOLLOWED, window: 4, position }, 12 - most);
      expect(new Set(fullNames([...first, ...rest])).size).toBe(12);
    }
  });

  test('a position of other topics is refused, whichever is missing', async () => {
    const log = await twoTopics();
    const [first] = await take(log, BOTH, 1);
    for (const topics of [['a'], ['a', 'b', 'c']])
      await expect(take(log, { topics, position: first!.position })).rejects.toMatchObject({
        code: 'STATE_MISMATCH',
        message: expect.stringMatching(/^the run read a, b, not /),
      });
  });
});

describe('partitions that come later', () => {
  test(
    'are picked up while the topics are followed, from their start, and nothing is read twice',
    async () => {
      const log = await twoTopics({ a: [2], b: [2] });
      const stream = openBatches(log, { ...SETTINGS, ...FOLLOWED });
      const batches = [];
      for (let i = 0; i < 4; i++) batches.push((await stream.next())!);
      log.addPartition('b');
      await log.append('b', [{ partition: 1, value: imageBatch(7, 1) }]);
      await log.append('a', [{ value: imageBatch(8, 1) }]);
      for (let i = 0; i < 2; i++) batches.push((await stream.next())!);
      expect(fullNames(batches.slice(4))).toEqual(['a/0/2#0', 'b/1/0#0']);
      expect(new Set(fullNames(batches)).size).toBe(6);
      expect(batches.at(-1)!.position.next).toEqual([
        { topic: 'a', partition: 0, offset: 3 },
        { topic: 'b', partition: 0, offset: 2 },
        { topic: 'b', partition: 1, offset: 1 },
      ]);
      await stream.close();
      expect(log.openReads).toBe(0);
    },
    UNTIL_LOOKED.timeout,
  );

  test('are not read by a run in epochs, which keeps to what it began with', async () => {
    const log = await twoTopics();
    const [first] = await take(log, { ...BOTH, epochs: 2 }, 1);
    log.addPartition('a');
    await log.append('a', [{ partition: 2, value: imageBatch(7, 1) }]);
    const rest = await take(log, { ...BOTH, epochs: 2, position: first!.position });
    expect(fullNames([first!, ...rest])).toHaveLength(12);
    expect(fullNames(rest).some((name) => name.startsWith('a/2'))).toBe(false);
  });
});

describe('a topic that was deleted and made anew', () => {
  test('is refused at a resume though it has more records than were read', async () => {
    const log = await twoTopics();
    for (const epochs of [2, null]) {
      const first = await take(log, { ...BOTH, epochs }, 3);
      const anew = await twoTopics();
      anew.deleteTopic('b');
      await anew.createTopic('b');
      for (let i = 0; i < 9; i++) await anew.append('b', [{ value: imageBatch(40 + i, 1) }]);
      await expect(take(anew, { ...BOTH, epochs, position: first.at(-1)!.position })).rejects.toMatchObject({
        code: 'STATE_MISSING',
        exitStatus: 4,
        message: expect.stringMatching(/^b was deleted and made anew: the record at offset 0 of partition 0 /),
      });
    }
  });

  test(
    'is found out before a commit, and by a stream that follows it',
    async () => {
      const log = await twoTopics({ a: [2], b: [2] });
      const stream = openBatches(log, { ...SETTINGS, ...FOLLOWED });
      await stream.next();
      await stream.demandSameTopics();
      log.deleteTopic('b');
      await expect(stream.demandSameTopics()).rejects.toMatchObject({ code: 'STATE_MISSING', exitStatus: 4 });
      await log.createTopic('b');
      for (let i = 0; i < 9; i++) await log.append('b', [{ value: imageBatch(40 + i, 1) }]);
      await expect(stream.demandSameTopics()).rejects.toMatchObject({
        code: 'STATE_MISSING',
        exitStatus: 4,
        message: expect.stringMatching(/^b was deleted and made anew/),
      });
      await expect(
        (async () => {
          for (;;) await stream.next();
        })(),
      ).rejects.toMatchObject({ code: 'STATE_MISSING', exitStatus: 4 });
      await stream.close();
    },
    UNTIL_LOOKED.timeout,
  );

  test('or was deleted for good, is refused at a resume', async () => {
    const log = await twoTopics();
    const [first] = await take(log, BOTH, 1);
    log.deleteTopic('b');
    await expect(take(log, { ...BOTH, position: first!.position })).rejects.toMatchObject({
      code: 'STATE_MISSING',
      exitStatus: 4,
    });
  });

  test('a topic that was restored with the same records is the same', async () => {
    const first = await take(await twoTopics(), { ...BOTH, epochs: 2, window: 4 }, 3);
    const whole = await take(await twoTopics(), { ...BOTH, epochs: 2, window: 4 });
    const { position } = first.at(-1)!;
    expect([...first, ...(await take(await twoTopics(), { ...BOTH, epochs: 2, window: 4, position }))]).toEqual(whole);
  });
});

describe('a compacted topic', () => {
  test('that has lost a record of the open window is refused, and the record named', async () => {
    const log = await twoTopics({ a: [3], b: [3] });
    const [first] = await take(log, { ...BOTH, window: 4 }, 1);
    log.compact('b', 0, 1);
    await expect(take(log, { ...BOTH, window: 4, position: first!.position })).rejects.toMatchObject({
      code: 'STATE_TRUNCATED',
      exitStatus: 4,
      message: expect.stringMatching(/^b\/0 offset 1 is gone, but the shuffle window/),
    });
  });

  test('that has lost the record read last, or a tombstone of the window, is gone on with', async () => {
    const log = await twoTopics({ a: [2], b: [0] });
    await log.append('b', [{ value: null }, { value: imageBatch(9, 2) }]);
    const settings = { ...BOTH, window: 4 };
    const whole = await take(log, settings);
    log.compact('b', 0, 0); // the tombstone
    const rest = await take(log, { ...settings, position: whole[0]!.position });
    expect([whole[0]!, ...rest]).toEqual(whole);
    log.compact('b', 0, 1); // the window that is over needs it no more
    expect(await take(log, { ...settings, position: whole.at(-1)!.position })).toEqual([]);
  });
});
