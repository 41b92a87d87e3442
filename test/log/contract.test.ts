import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Log, NewRecord } from '../../src/log/log.ts';
import {
  bytes,
  collect,
  fileLogUnderTest,
  kafkaLogUnderTest,
  type LogUnderTest,
  newName,
  readAll,
  textOf,
  textsOf,
  values,
} from './logs-under-test.ts';

/** What every log promises (src/log/log.ts), held to the same tests. */
const logs = [await fileLogUnderTest(), await kafkaLogUnderTest()].filter((log) => log !== null);

const from = (offset: number, partition = 0): ReadonlyMap<number, number> => new Map([[partition, offset]]);

describe.each(logs)('$name log', (under: LogUnderTest) => {
  const newTopic = async (log: Log, settings?: { partitions?: number; retentionMs?: number }): Promise<string> => {
    const topic = newName('topic');
    await log.createTopic(topic, settings);
    return topic;
  };

  describe('topics', () => {
    test('a topic is listed with its partitions, and making it again changes nothing', async () => {
      const log = await under.open();
      const topic = await newTopic(log, { partitions: 3 });
      await log.append(topic, values('kept'));
      await log.createTopic(topic, { partitions: 1 });
      expect(await log.topics()).toContain(topic);
      expect(await log.partitions(topic)).toEqual([0, 1, 2]);
      expect(await log.offsets(topic, 0)).toEqual({ earliest: 0, end: 1 });
      expect(await log.offsets(topic, 2)).toEqual({ earliest: 0, end: 0 });
    });

    test('each has an id of its own, the same for every client', async () => {
      const log = await under.open();
      const [one, other] = [await newTopic(log), await newTopic(log)];
      const id = await log.topicId(one);
      expect(id).toMatch(/^[0-9a-f-]{32,36}$/);
      expect(await log.topicId(other)).not.toBe(id);
      expect(await (await under.open()).topicId(one)).toBe(id);
    });

    test('what is not there is TOPIC_MISSING, for every call', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const missing = newName('missing');
      const code = { code: 'TOPIC_MISSING' };
      await expect(log.partitions(missing)).rejects.toMatchObject(code);
      await expect(log.topicId(missing)).rejects.toMatchObject(code);
      await expect(log.offsets(missing, 0)).rejects.toMatchObject(code);
      await expect(log.offsets(topic, 1)).rejects.toMatchObject(code);
      await expect(log.offsetAt(missing, 0, 0)).rejects.toMatchObject(code);
      await expect(log.append(missing, values('x'))).rejects.toMatchObject(code);
      await expect(log.append(topic, [{ partition: 1, value: null }])).rejects.toMatchObject(code);
      await expect(collect(log.read(missing, { from: from(0) }))).rejects.toMatchObject(code);
      expect(await log.topics()).not.toContain(missing);
    });
  });

  describe('records', () => {
    test('come back as they were written: timestamps, keys, headers, tombstones, empty values', async () => {
      const log = await under.open();
      const record = fc.record({
        timestamp: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 1.7e12 })),
        key: fc.option(fc.uint8Array({ maxLength: 40 })),
        value: fc.option(fc.uint8Array({ maxLength: 300 })),
        headers: fc.dictionary(
          fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
          fc.uint8Array({ maxLength: 20 }),
        ),
      });
      const written: NewRecord[] = fc.sample(fc.array(record, { minLength: 60, maxLength: 60 }), {
        numRuns: 1,
        seed: 7,
      })[0]!;
      written.push({
        timestamp: 5,
        key: null,
        value: bytes('x'),
        headers: Object.fromEntries([['__proto__', bytes('y')]]),
      });
      const topic = await newTopic(log);
      await log.append(topic, written);
      const read = await readAll(await under.open(), topic);
      const given = ({ timestamp, key, value, headers = {} }: NewRecord): unknown => [
        timestamp,
        key,
        value,
        Object.entries(headers),
      ];
      expect(read.map(given)).toEqual(written.map(given));
      expect(read.map(({ topic: of, partition, offset }) => ({ of, partition, offset }))).toEqual(
        written.map((_, offset) => ({ of: topic, partition: 0, offset })),
      );
    });

    test('without a timestamp get the writer’s clock', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const before = Date.now();
      await log.append(topic, values('now'));
      const [record] = await readAll(log, topic);
      expect(record!.timestamp).toBeGreaterThanOrEqual(before);
      expect(record!.timestamp).toBeLessThanOrEqual(Date.now());
    });

    test('with a timestamp that is none are refused, and nothing is written', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      for (const timestamp of [-1, 0.5, Number.NaN, 2 ** 53]) {
        await expect(log.append(topic, [...values('a'), { value: null, timestamp }])).rejects.toMatchObject({
          code: 'BAD_RECORD',
        });
      }
      expect((await log.offsets(topic, 0)).end).toBe(0);
    });

    test('may be large, one by one and together', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const large = (seed: number, size: number): Uint8Array => new Uint8Array(size).map((_, at) => (at * seed) >> 3);
      const written = [
        large(3, under.largeRecord),
        large(5, 400_000),
        large(7, 400_000),
        large(11, 400_000),
        large(13, 1),
      ];
      const appended = await log.append(
        topic,
        written.map((value) => ({ value })),
      );
      expect(appended).toEqual(written.map((_, offset) => ({ partition: 0, offset })));
      const read = await readAll(await under.open(), topic);
      expect(
        read.map(({ value }) => Buffer.from(value!).equals(written[read.findIndex((r) => r.value === value)]!)),
      ).toEqual(written.map(() => true));
    });
  });

  describe('append', () => {
    test('says for each record where it lies', async () => {
      const log = await under.open();
      const topic = await newTopic(log, { partitions: 3 });
      const places = [2, 0, 0, 1, 2, 0, 2];
      const records = places.map((partition, index): NewRecord => ({ partition, value: bytes(`r${index}`) }));
      await log.append(topic, values('before'));
      const appended = await log.append(topic, records);
      expect(appended.map(({ partition }) => partition)).toEqual(places);
      for (const [index, { partition, offset }] of appended.entries()) {
        const [record] = await collect(log.read(topic, { from: from(offset, partition) }), 1);
        expect(record).toMatchObject({ partition, offset });
        expect(textOf(record!.value)).toBe(`r${index}`);
      }
    });

    test('keeps the order of calls that were not awaited', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const texts = Array.from({ length: 30 }, (_, index) => String(index));
      await Promise.all(texts.map((text) => log.append(topic, values(text))));
      expect(await textsOf(log, topic)).toEqual(texts);
    });

    test('of nothing does nothing', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      expect(await log.append(topic, [])).toEqual([]);
      expect(await log.offsets(topic, 0)).toEqual({ earliest: 0, end: 0 });
    });
  });

  describe('a bounded read', () => {
    const filled = async (log: Log, counts: readonly number[]): Promise<string> => {
      const topic = await newTopic(log, { partitions: counts.length });
      const records = counts.flatMap((count, partition) =>
        Array.from(
          { length: count },
          (_, offset): NewRecord => ({ partition, value: bytes(`${partition}:${offset}`) }),
        ),
      );
      for (let first = 0; first < records.length; first += 3) await log.append(topic, records.slice(first, first + 3));
      return topic;
    };

    test('takes the partitions in turn, one record each, and a partition leaves when it is done', async () => {
      const log = await under.open();
      const topic = await filled(log, [5, 2, 4]);
      expect(await textsOf(log, topic)).toEqual([
        '0:0',
        '1:0',
        '2:0',
        '0:1',
        '1:1',
        '2:1',
        '0:2',
        '2:2',
        '0:3',
        '2:3',
        '0:4',
      ]);
    });

    test('reads [from, to) of the partitions that are named', async () => {
      const log = await under.open();
      const topic = await filled(log, [6, 6, 6]);
      const read = log.read(topic, {
        from: new Map([
          [0, 2],
          [2, 4],
          [1, 3],
        ]),
        to: new Map(
          [
            [0, 4],
            [2, 9],
            [1, 3],
          ].map(([p, to]) => [p!, Math.min(to!, 6)]),
        ),
      });
      expect((await collect(read)).map(({ value }) => textOf(value))).toEqual(['0:2', '2:4', '0:3', '2:5']);
    });

    test('stopped anywhere and gone on with gives the same order', async () => {
      const log = await under.open();
      const counts = [4, 1, 3];
      const topic = await filled(log, counts);
      const to = new Map(counts.entries());
      const whole = await collect(log.read(topic, { from: new Map(counts.map((_, p) => [p, 0])), to }));
      for (let stop = 0; stop <= whole.length; stop++) {
        const next = new Map(counts.map((_, p) => [p, 0]));
        for (const { partition, offset } of whole.slice(0, stop)) next.set(partition, offset + 1);
        const turn = stop === 0 ? 0 : (whole[stop - 1]!.partition + 1) % counts.length;
        const rest = await collect(log.read(topic, { from: next, to, turn }));
        expect(rest.map(({ value }) => textOf(value))).toEqual(whole.slice(stop).map(({ value }) => textOf(value)));
      }
    });

    test('waits for an end that is not there yet', async () => {
      const log = await under.open();
      const topic = await filled(log, [1]);
      const read = collect(log.read(topic, { from: from(0), to: from(3) }));
      await sleep(150);
      await log.append(topic, values('0:1', '0:2', '0:3'));
      expect((await read).map(({ value }) => textOf(value))).toEqual(['0:0', '0:1', '0:2']);
    });

    test('of nothing ends at once', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      expect(await collect(log.read(topic, { from: from(0), to: from(0) }))).toEqual([]);
      expect(await collect(log.read(topic, { from: new Map(), to: new Map() }))).toEqual([]);
    });
  });

  describe('a following read', () => {
    test('sees what another client appends later, from every partition', async () => {
      const reader = await under.open();
      const writer = await under.open();
      const topic = await newTopic(writer, { partitions: 2 });
      const read = collect(
        reader.read(topic, {
          from: new Map([
            [0, 0],
            [1, 0],
          ]),
        }),
        40,
      );
      for (let index = 0; index < 20; index++) {
        await writer.append(topic, [
          { partition: 0, value: bytes(`a${index}`) },
          { partition: 1, value: bytes(`b${index}`) },
        ]);
        if (index % 7 === 0) await sleep(30);
      }
      const texts = (await read).map(({ value }) => textOf(value)!);
      expect(texts.filter((text) => text.startsWith('a'))).toEqual(
        Array.from({ length: 20 }, (_, index) => `a${index}`),
      );
      expect(texts.filter((text) => text.startsWith('b'))).toEqual(
        Array.from({ length: 20 }, (_, index) => `b${index}`),
      );
    });

    test('ends without an error soon after its signal aborts', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      await log.append(topic, values('one'));
      const stop = new AbortController();
      const read = log.read(topic, { from: from(0), signal: stop.signal })[Symbol.asyncIterator]();
      expect(textOf((await read.next()).value!.value)).toBe('one');
      const second = read.next(); // there is none to come
      await sleep(50);
      stop.abort();
      expect(await second).toMatchObject({ done: true });
      expect(await collect(log.read(topic, { from: from(0), signal: stop.signal }))).toEqual([]);
    });

    test('of a topic that nobody has written yet waits for its first record', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const read = collect(log.read(topic, { from: from(0) }), 1);
      await sleep(100);
      const writer = await log.takeOver(newName('id'));
      const transaction = await writer.begin();
      await transaction.append(topic, values('first'));
      await transaction.commit();
      expect(textOf((await read)[0]!.value)).toBe('first');
    });
  });

  describe('offsets that are not there', () => {
    test('before the earliest are STATE_TRUNCATED', async () => {
      const log = await under.open();
      const topic = await newTopic(log, { retentionMs: 3_600_000 });
      await log.append(topic, [{ value: bytes('old'), timestamp: Date.now() - 7_200_000 }]);
      await under.truncate(log, topic);
      const { earliest, end } = await log.offsets(topic, 0);
      expect(earliest).toBeGreaterThan(0);
      await expect(collect(log.read(topic, { from: from(0), to: from(end) }))).rejects.toMatchObject({
        code: 'STATE_TRUNCATED',
      });
      await expect(collect(log.read(topic, { from: from(0) }))).rejects.toMatchObject({ code: 'STATE_TRUNCATED' });
      expect((await readAll(log, topic)).length).toBe(end - earliest);
    });

    test('past the end are STATE_TRUNCATED, not waited for', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      await log.append(topic, values('one'));
      await expect(collect(log.read(topic, { from: from(5) }))).rejects.toMatchObject({ code: 'STATE_TRUNCATED' });
    });
  });

  describe('the offset of a time', () => {
    /** The first record that is as late or later, as a reader finds it. */
    async function byReading(log: Log, topic: string, timestamp: number): Promise<number> {
      const { end } = await log.offsets(topic, 0);
      return (await readAll(log, topic)).find((record) => record.timestamp >= timestamp)?.offset ?? end;
    }

    test('is that of the first record as late, though times may go back, over appends and segments', async () => {
      const log = await under.open();
      const topic = await newTopic(log, { partitions: 2 });
      const times = [100, 300, 200, 300, 50, 400, 400, 350, 500];
      // 100 kB each: a file log's segment ends after three.
      for (const [i, timestamp] of times.entries())
        await log.append(topic, [
          { value: new Uint8Array(i % 2 ? 1 : 100_000), timestamp },
          { value: bytes('other'), timestamp: 1_000, partition: 1 },
        ]);
      const reader = await under.open();
      for (const timestamp of [0, 1, 100, 101, 299, 300, 301, 400, 401, 500])
        expect(await reader.offsetAt(topic, 0, timestamp), `${timestamp}`).toBe(
          times.findIndex((time) => time >= timestamp),
        );
      expect(await reader.offsetAt(topic, 0, 501)).toBe(times.length);
      expect(await reader.offsetAt(topic, 1, 0)).toBe(0);
      expect(await reader.offsetAt(await newTopic(log), 0, 0)).toBe(0);
    });

    test('sees nothing of transactions that are open or were aborted', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const writer = await log.takeOver(newName('id'));
      const appended = async (...times: number[]) => {
        const transaction = await writer.begin();
        await transaction.append(
          topic,
          times.map((timestamp) => ({ value: bytes('x'), timestamp })),
        );
        return transaction;
      };
      await (await appended(100, 200)).commit();
      await (await appended(900)).abort();
      await (await appended(300, 150)).commit();
      await (await appended(400)).commit();
      const open = await appended(1_000);
      for (const timestamp of [0, 150, 201, 301, 401, 1_000]) {
        const wanted = await byReading(log, topic, timestamp);
        expect(await log.offsetAt(topic, 0, timestamp), `${timestamp}`).toBe(wanted);
      }
      await open.abort();
      await writer.close();
    });

    test('is among those that retention left', async () => {
      const log = await under.open();
      const topic = await newTopic(log, { retentionMs: 3_600_000 });
      await log.append(topic, [{ value: bytes('old'), timestamp: Date.now() - 7_200_000 }]);
      await under.truncate(log, topic);
      const { earliest } = await log.offsets(topic, 0);
      expect(await log.offsetAt(topic, 0, 0)).toBe(earliest);
    });
  });

  describe('a transaction', () => {
    test('over several topics is unseen before its commit and whole after it', async () => {
      const log = await under.open();
      const other = await under.open();
      const topics = [await newTopic(log), await newTopic(log, { partitions: 2 }), await newTopic(log)];
      const writer = await log.takeOver(newName('id'));
      const transaction = await writer.begin();
      const places: { topic: string; partition: number; offset: number }[] = [];
      for (const topic of topics) {
        const records = [{ value: bytes('a') }, { value: bytes('b'), partition: topic === topics[1] ? 1 : 0 }];
        for (const place of await transaction.append(topic, records)) places.push({ topic, ...place });
      }
      const following = Promise.all(topics.map((topic) => collect(other.read(topic, { from: from(0) }), 1)));
      await sleep(150);
      for (const topic of topics) expect((await other.offsets(topic, 0)).end).toBe(0);
      await transaction.commit();
      // Right after the commit has resolved, by another client, without waiting: everything is there.
      for (const { topic, partition, offset } of places) {
        expect((await other.offsets(topic, partition)).end).toBeGreaterThan(offset);
      }
      for (const { topic, partition, offset } of places) {
        expect(
          await collect(other.read(topic, { from: from(offset, partition), to: from(offset + 1, partition) })),
        ).toHaveLength(1);
      }
      expect((await following).map(([record]) => textOf(record!.value))).toEqual(['a', 'a', 'a']);
    });

    test('can be read at once when its commit has resolved, every time', async () => {
      const log = await under.open();
      const topic = await newTopic(log, { partitions: 12 });
      const writer = await log.takeOver(newName('id'));
      for (let round = 0; round < 15; round++) {
        const transaction = await writer.begin();
        const appended = await transaction.append(
          topic,
          Array.from({ length: 12 }, (_, partition) => ({ partition, value: bytes(String(round)) })),
        );
        await transaction.commit();
        const ends = await Promise.all(appended.map(({ partition }) => log.offsets(topic, partition)));
        for (const [index, { offset }] of appended.entries()) expect(ends[index]!.end).toBeGreaterThan(offset);
      }
    });

    test('that is aborted is never seen, and the next one follows', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const writer = await log.takeOver(newName('id'));
      for (const [index, fate] of (['commit', 'abort', 'abort', 'commit', 'abort', 'commit'] as const).entries()) {
        const transaction = await writer.begin();
        await transaction.append(topic, values(`${fate} ${index}a`, `${fate} ${index}b`));
        await transaction[fate]();
      }
      expect(await textsOf(log, topic)).toEqual([0, 3, 5].flatMap((index) => [`commit ${index}a`, `commit ${index}b`]));
    });

    test('tells offsets that hold after the commit', async () => {
      const log = await under.open();
      const topic = await newTopic(log, { partitions: 2 });
      const writer = await log.takeOver(newName('id'));
      const seen: [number, number, string][] = [];
      for (let round = 0; round < 4; round++) {
        const transaction = await writer.begin();
        for (let call = 0; call < 2; call++) {
          const records = [1, 0, 1].map((partition, index) => ({ partition, value: bytes(`${round}${call}${index}`) }));
          const appended = await transaction.append(topic, records);
          if (round !== 2)
            for (const [index, { partition, offset }] of appended.entries())
              seen.push([partition, offset, `${round}${call}${index}`]);
        }
        await (round === 2 ? transaction.abort() : transaction.commit());
      }
      const read = (await readAll(log, topic)).map(({ partition, offset, value }) => [
        partition,
        offset,
        textOf(value)!,
      ]);
      expect(read.sort(byPlace)).toEqual(seen.sort(byPlace));
    });

    test('that is left open holds up no reader of what is committed, and neither does an end made of markers', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const writer = await log.takeOver(newName('id'));
      const first = await writer.begin();
      await first.append(topic, values('committed'));
      await first.commit();
      const second = await writer.begin();
      await second.append(topic, values('aborted', 'aborted'));
      await second.abort();
      expect(await textsOf(log, topic)).toEqual(['committed']);
      const { end } = await log.offsets(topic, 0);
      expect(await collect(log.read(topic, { from: from(end - 1), to: from(end) }))).toHaveLength(
        under.name === 'file' ? 1 : 0,
      );
      const third = await writer.begin();
      await third.append(topic, values('open', 'open'));
      expect(await textsOf(await under.open(), topic)).toEqual(['committed']);
      await third.abort();
    });

    test('left open when the log is closed is aborted', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const writer = await log.takeOver(newName('id'));
      const transaction = await writer.begin();
      await transaction.append(topic, values('open'));
      await log.close();
      const other = await under.open();
      expect(await textsOf(other, topic)).toEqual([]);
      await expect(transaction.commit()).rejects.toMatchObject({ code: 'LOG_FAILED' });
      if (under.name === 'file') return; // where such a topic has no other writer
      await other.append(topic, values('after'));
      expect(await textsOf(other, topic)).toEqual(['after']);
    });

    test('commits what was appended without being awaited', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const writer = await log.takeOver(newName('id'));
      const transaction = await writer.begin();
      void transaction.append(topic, values('a'));
      void transaction.append(topic, values('b'));
      await transaction.commit();
      expect(await textsOf(log, topic)).toEqual(['a', 'b']);
    });

    test('in which an append failed commits nothing', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const writer = await log.takeOver(newName('id'));
      const transaction = await writer.begin();
      await transaction.append(topic, values('half'));
      await expect(transaction.append(newName('missing'), values('other half'))).rejects.toMatchObject({
        code: 'TOPIC_MISSING',
      });
      await expect(transaction.commit()).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
      const next = await writer.begin();
      await next.append(topic, values('whole'));
      await next.commit();
      expect(await textsOf(log, topic)).toEqual(['whole']);
    });

    test('is used once, one at a time, and may be empty', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const writer = await log.takeOver(newName('id'));
      const transaction = await writer.begin();
      await expect(writer.begin()).rejects.toMatchObject({ code: 'LOG_FAILED' });
      await transaction.commit();
      await expect(transaction.append(topic, values('late'))).rejects.toMatchObject({ code: 'LOG_FAILED' });
      await expect(transaction.commit()).rejects.toMatchObject({ code: 'LOG_FAILED' });
      await (await writer.begin()).abort();
      expect((await log.offsets(topic, 0)).end).toBe(0);
    });

    test('may be large', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const writer = await log.takeOver(newName('id'));
      const transaction = await writer.begin();
      await transaction.append(
        topic,
        Array.from({ length: 40 }, (_, index) => ({ value: new Uint8Array(100_000).fill(index) })),
      );
      await transaction.commit();
      expect((await readAll(log, topic)).map(({ value }) => [value!.length, value![77]])).toEqual(
        Array.from({ length: 40 }, (_, index) => [100_000, index]),
      );
    });
  });

  describe('a takeover', () => {
    test('fences the writer before: its open transaction is never seen, and it can do nothing any more', async () => {
      const old = await under.open();
      const young = await under.open();
      const topic = await newTopic(old);
      const id = newName('id');
      const zombie = await old.takeOver(id);
      const first = await zombie.begin();
      await first.append(topic, values('old, committed'));
      await first.commit();
      const open = await zombie.begin();
      await open.append(topic, values('old, open'));

      const writer = await young.takeOver(id);
      expect(writer.epoch).toBeGreaterThan(zombie.epoch);
      expect(await textsOf(young, topic)).toEqual(['old, committed']);
      await expect(open.commit()).rejects.toMatchObject({ code: 'FENCED', exitStatus: 3 });
      await expect(zombie.begin()).rejects.toMatchObject({ code: 'FENCED' });

      const next = await writer.begin();
      await next.append(topic, values('young'));
      await next.commit();
      expect(await textsOf(young, topic)).toEqual(['old, committed', 'young']);
      expect(await textsOf(old, topic)).toEqual(['old, committed', 'young']);
    });

    test('fences an idle writer at its next step', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const id = newName('id');
      const zombie = await log.takeOver(id);
      const writer = await log.takeOver(id);
      const attempt = async (): Promise<void> => {
        const transaction = await zombie.begin();
        await transaction.append(topic, values('zombie'));
        await transaction.commit();
      };
      await expect(attempt()).rejects.toMatchObject({ code: 'FENCED' });
      const transaction = await writer.begin();
      await transaction.append(topic, values('living'));
      await transaction.commit();
      expect(await textsOf(log, topic)).toEqual(['living']);
    });

    test('by many at once leaves one writer', async () => {
      const log = await under.open();
      const topic = await newTopic(log);
      const id = newName('id');
      const writers = await Promise.all(Array.from({ length: 5 }, async () => (await under.open()).takeOver(id)));
      expect(new Set(writers.map(({ epoch }) => epoch)).size).toBe(5);
      const youngest = Math.max(...writers.map(({ epoch }) => epoch));
      const outcomes = await Promise.allSettled(
        writers.map(async (writer) => {
          const transaction = await writer.begin();
          await transaction.append(topic, values(String(writer.epoch)));
          await transaction.commit();
        }),
      );
      const done = writers.filter((_, index) => outcomes[index]!.status === 'fulfilled').map(({ epoch }) => epoch);
      expect(done).toEqual([youngest]);
      expect(await textsOf(log, topic)).toEqual([String(youngest)]);
    });

    test('of another id disturbs nobody', async () => {
      const log = await under.open();
      const [a, b] = [await newTopic(log), await newTopic(log)];
      const one = await log.takeOver(newName('id'));
      const transaction = await one.begin();
      await transaction.append(a, values('a'));
      const two = await log.takeOver(newName('id'));
      const between = await two.begin();
      await between.append(b, values('b'));
      await between.commit();
      await transaction.commit();
      expect([await textsOf(log, a), await textsOf(log, b)]).toEqual([['a'], ['b']]);
    });
  });

  describe('a slow reader', () => {
    test.each([{ partitions: 1 }, { partitions: 4 }])(
      'of a big topic with $partitions partitions holds bounded bytes',
      async ({ partitions }) => {
        const log = await under.open();
        const topic = await newTopic(log, { partitions });
        const size = 50_000;
        const count = 800; // 40 MB
        for (let first = 0; first < count; first += 20) {
          await log.append(
            topic,
            Array.from({ length: 20 }, (_, index) => ({
              partition: index % partitions,
              value: new Uint8Array(size).fill(index),
            })),
          );
        }
        const maxBufferedBytes = 2 * 1024 * 1024;
        const reader = await under.open();
        const before = heldBytes();
        const read = reader
          .read(topic, {
            from: new Map(Array.from({ length: partitions }, (_, p) => [p, 0])),
            to: new Map(Array.from({ length: partitions }, (_, p) => [p, count / partitions])),
            maxBufferedBytes,
          })
          [Symbol.asyncIterator]();
        let taken = 0;
        let most = 0;
        for (let round = 0; round < 4; round++) {
          for (let index = 0; index < 60; index++, taken++) expect((await read.next()).value.value).toHaveLength(size);
          await sleep(250); // time enough to read everything, if nothing held it back
          most = Math.max(most, heldBytes() - before);
        }
        expect(most).toBeGreaterThan(0);
        // What it may hold, and a batch of the broker's or a window's rounding beside it.
        expect(most).toBeLessThan(maxBufferedBytes + 1.5 * 1024 * 1024);
        for (let next = await read.next(); !next.done; next = await read.next()) taken += 1;
        expect(taken).toBe(count);
      },
    );
  });
});

const byPlace = (a: (string | number)[], b: (string | number)[]): number =>
  Number(a[0]) - Number(b[0]) || Number(a[1]) - Number(b[1]);

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes of buffers that something still refers to. */
function heldBytes(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}
