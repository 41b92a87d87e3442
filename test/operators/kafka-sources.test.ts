import { type Admin, Kafka, logLevel, Partitioners } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encode } from '../../src/codec/single-object.ts';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { Batch } from '../../src/operators/batch.ts';
import { type Batches, type BatchesSettings, openBatches } from '../../src/operators/batches.ts';
import { brokerForTests } from '../log/kafka-broker.ts';
import { newName } from '../log/logs-under-test.ts';
import { fullNames, imageBatch, SETTINGS, SHAPE, take } from './streams.ts';

/** What can befall a topic that only a real broker does: growth, deletion, compaction, DeleteRecords, transactions. */

const broker = await brokerForTests({ settings: { 'log.cleaner.backoff.ms': '200' } });
afterAll(() => broker?.kill());

/** Growth and ids are looked at every five seconds; the broker, too, needs its time on a busy machine. */
const PATIENT = 120_000;

describe.skipIf(broker === null)('input topics on Kafka', () => {
  let log: Log;
  let kafka: Kafka;
  let admin: Admin;
  let images = 0;

  beforeAll(async () => {
    log = await openLog(broker!.url);
    kafka = new Kafka({ brokers: [`127.0.0.1:${broker!.port}`], logLevel: logLevel.NOTHING });
    admin = kafka.admin();
    await admin.connect();
  });
  afterAll(async () => {
    await admin.disconnect();
    await log.close();
  });

  const value = (count = 1) => Buffer.from(imageBatch(images++ % 250, count));
  async function topicOf(counts: readonly number[], name = newName('images')): Promise<string> {
    await log.createTopic(name, { partitions: counts.length });
    for (const [partition, count] of counts.entries())
      if (count > 0)
        await log.append(
          name,
          Array.from({ length: count }, () => ({ partition, value: value() })),
        );
    return name;
  }
  const follow = (topics: string[], more: Partial<BatchesSettings> = {}): Batches =>
    openBatches(log, { ...SETTINGS, topics: [...topics].sort(), epochs: null, ...more });
  async function taken(stream: Batches, count: number): Promise<Batch[]> {
    const batches: Batch[] = [];
    while (batches.length < count) batches.push((await stream.next())!);
    return batches;
  }
  const drained = async (stream: Batches): Promise<void> => {
    while ((await stream.next()) !== null);
  };
  const remove = async (topic: string, partition: number, before: number): Promise<void> => {
    await admin.fetchTopicOffsets(topic); // loads the metadata that the next call needs
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] });
  };

  test('partitions that are added while they are followed are read from their start, nothing twice', {
    timeout: PATIENT,
  }, async () => {
    const topics = [await topicOf([2]), await topicOf([1, 1])];
    const stream = follow(topics);
    const before = await taken(stream, 4);
    await admin.createPartitions({ topicPartitions: [{ topic: topics[0]!, count: 3 }] });
    await expect.poll(() => log.partitions(topics[0]!)).toEqual([0, 1, 2]);
    await log.append(topics[0]!, [
      { partition: 2, value: value() },
      { partition: 0, value: value() },
    ]);
    await log.append(topics[1]!, [{ partition: 1, value: value() }]);
    const after = await taken(stream, 3);
    expect(new Set(fullNames([...before, ...after])).size).toBe(7);
    expect(fullNames(after)).toContain(`${topics[0]}/2/0#0`);
    // What the position names is what was taken: a resume goes on there, the new partition included.
    const { position } = after.at(-1)!;
    expect(position.next.filter(({ topic }) => topic === topics[0]).map(({ offset }) => offset)).toEqual([3, 0, 1]);
    await stream.close();
    await log.append(topics[0]!, [{ partition: 1, value: value() }]);
    const resumed = follow(topics, { position });
    expect(fullNames(await taken(resumed, 1))).toEqual([`${topics[0]}/1/0#0`]);
    await resumed.close();
  });

  test('a topic that is deleted ends the stream with exit 4; made anew and longer it is refused', {
    timeout: PATIENT,
  }, async () => {
    const [kept, lost] = [await topicOf([2]), await topicOf([2])];
    const stream = follow([kept, lost]);
    const { position } = (await taken(stream, 4)).at(-1)!;
    await stream.demandSameTopics();
    await admin.deleteTopics({ topics: [lost] });
    await expect(drained(stream)).rejects.toMatchObject({ code: 'STATE_MISSING', exitStatus: 4 });
    await expect(stream.demandSameTopics()).rejects.toMatchObject({ code: 'STATE_MISSING', exitStatus: 4 });
    await stream.close();
    await topicOf([9], lost);
    const refused = {
      code: 'STATE_MISSING',
      exitStatus: 4,
      message: expect.stringContaining(`${lost} was deleted and made anew`),
    };
    await expect(stream.demandSameTopics()).rejects.toMatchObject(refused);
    await expect(taken(follow([kept, lost], { position }), 1)).rejects.toMatchObject(refused);
  });

  test('records that are removed before they are read end the stream with exit 4, naming the gap', {
    timeout: PATIENT,
  }, async () => {
    const topic = await topicOf([0]);
    for (let i = 0; i < 40; i++) await log.append(topic, [{ value: value() }]); // a batch each: fetched a few at a time
    const stream = follow([topic], { depth: 1, maxBufferedBytes: 300 });
    await taken(stream, 2);
    await remove(topic, 0, 39);
    const failure = await drained(stream).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'STATE_TRUNCATED', exitStatus: 4 });
    const gap =
      /partition 0 .* offsets (\d+) to 38 were removed \((\d+) records at most\): the earliest left is 39$/.exec(
        (failure as Error).message,
      );
    expect(Number(gap?.[2])).toBe(39 - Number(gap?.[1]));
    await stream.close();
  });

  test('a record of the open window that DeleteRecords removed is refused at the resume', async () => {
    const topics = [await topicOf([4]), await topicOf([4])].sort();
    const [first] = await take(log, { topics, window: 6 }, 1);
    await remove(topics[1]!, 0, 1);
    await expect(take(log, { topics, window: 6, position: first!.position })).rejects.toMatchObject({
      code: 'STATE_TRUNCATED',
      message: expect.stringContaining(`offset 0 of ${topics[1]}, partition 0`),
    });
  });

  test('a record of the open window that was compacted away is refused at the resume, and named', {
    timeout: PATIENT,
  }, async () => {
    const topic = newName('compacted');
    const settings = {
      'cleanup.policy': 'compact',
      'segment.ms': '100',
      'min.cleanable.dirty.ratio': '0.001',
      'max.compaction.lag.ms': '100',
    };
    const configEntries = Object.entries(settings).map(([name, set]) => ({ name, value: set }));
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic, configEntries }] });
    const keyed = (key: string) => log.append(topic, [{ key: Buffer.from(key), value: value() }]);
    for (const key of ['a', 'b', 'c', 'd']) await keyed(key);
    const settled = { topics: [topic], epochs: null, window: 4 };
    const [first] = await take(log, settled, 1);
    expect(first!.position.window!.records).toEqual([{ topic, partition: 0, offsets: [0, 1, 2, 3] }]);
    // A newer value of b's key makes the cleaner drop the record at offset 1; its offset stays a hole.
    const offsets = async () => {
      await keyed('b'); // rolls the segment when its time has come
      const { end } = await log.offsets(topic, 0);
      const found: number[] = [];
      for await (const record of log.read(topic, { from: new Map([[0, 0]]), to: new Map([[0, end]]) }))
        found.push(record.offset);
      return found;
    };
    await expect.poll(offsets, { timeout: 60_000, interval: 300 }).not.toContain(1);
    expect(await log.offsets(topic, 0)).toMatchObject({ earliest: 0 });
    await expect(take(log, { ...settled, position: first!.position }, 1)).rejects.toMatchObject({
      code: 'STATE_TRUNCATED',
      exitStatus: 4,
      message: expect.stringMatching(new RegExp(`^${topic}/0 offset 1 is gone, but the shuffle window`)),
    });
    // The holes do not hinder who needs none of them.
    const whole = await take(log, { ...settled, window: 1 }, 4);
    expect(fullNames(whole).slice(0, 3)).toEqual([0, 2, 3].map((offset) => `${topic}/0/${offset}#0`));
  });

  test('what a transaction aborted is never given, nor are markers and tombstones; an open one holds up no other partition', async () => {
    const topic = await topicOf([0, 0]);
    const producer = kafka.producer({
      createPartitioner: Partitioners.DefaultPartitioner,
      transactionalId: newName('id'),
      idempotent: true,
      maxInFlightRequests: 1,
      retry: { initialRetryTime: 5 },
    });
    await producer.connect();
    for (const fate of ['commit', 'abort', 'commit', 'abort'] as const) {
      const transaction = await producer.transaction();
      const messages = [value(), value(), null].map((each) => ({ partition: 0, key: 'key', value: each }));
      await transaction.send({ topic, messages });
      await transaction[fate]();
    }
    const open = await producer.transaction();
    await open.send({ topic, messages: [{ partition: 0, value: value() }] });
    await log.append(topic, [
      { partition: 0, value: value() },
      { partition: 1, value: value() },
      { partition: 1, value: value() },
    ]);
    const stream = follow([topic]);
    const names = fullNames(await taken(stream, 6));
    // Four records and two markers lie between the two that were committed.
    expect(names.filter((name) => name.startsWith(`${topic}/0`))).toEqual(
      [0, 1, 8, 9].map((offset) => `${topic}/0/${offset}#0`),
    );
    expect(names.filter((name) => name.startsWith(`${topic}/1`))).toHaveLength(2);
    await expect.poll(() => stream.stats.records).toEqual({ used: 6, rejected: 0, tombstone: 2 });
    await open.abort();
    expect(fullNames(await taken(stream, 1))).toEqual([`${topic}/0/17#0`]);
    expect(stream.stats.records).toEqual({ used: 7, rejected: 0, tombstone: 2 });
    await stream.close();
    await producer.disconnect();
  });

  test('records far larger than the buffer are read, and a busy partition does not keep them out', {
    timeout: PATIENT,
  }, async () => {
    const topic = await topicOf([0, 0]);
    const large = encode('image-batch', {
      shape: [...SHAPE],
      encoding: 'RAW_U8',
      images: Array.from({ length: 100_000 }, () => Uint8Array.of(1, 2)),
      labels: null,
      eventTime: 0,
      source: '',
      encoder: null,
    });
    expect(large.length).toBeGreaterThan(250_000);
    const limits = { recordBytes: 2 ** 20, images: 200_000, side: 4, channels: 1, decodedBytes: 2 ** 20 };
    await log.append(topic, [{ partition: 1, value: large }]);
    const few = () => Array.from({ length: 5 }, () => ({ partition: 0, value: value() }));
    for (let i = 0; i < 300; i++) await log.append(topic, few()); // a batch each
    // Small enough that the busy partition is asked for again and again while the large record waits.
    const settings: Partial<BatchesSettings> = { maxBufferedBytes: 2_000, limits };
    for (const epochs of [null, 1]) {
      const stream = openBatches(log, { ...SETTINGS, ...settings, topics: [topic], epochs });
      let before = 0;
      for (;;) {
        const { ids } = (await stream.next())!;
        if (ids[0]!.partition === 1) break;
        before++;
      }
      expect(before).toBeLessThan(750);
      await stream.close();
    }
  });

  test('the archive is drawn from over a stop as if there had been none, and from what DeleteRecords left', async () => {
    const topic = await topicOf([80]);
    const mix = { topic: null, share: 0.5, window: 24 };
    const settings = { ...SETTINGS, topics: [topic], epochs: null, window: 10, size: 4, mix };
    const whole = await take(log, settings, 36);
    const cut = whole.findIndex(({ position }, i) => i > 24 && (position.archive?.open?.consumed ?? 0) > 3);
    const { position } = whole[cut]!;
    const rest = whole.slice(cut + 1);
    expect(await take(log, { ...settings, position }, rest.length)).toEqual(rest);
    await remove(topic, 0, 30);
    let lost = 0;
    const after = await take(log, { ...settings, position, onArchiveLost: () => void lost++ }, rest.length);
    expect(lost).toBe(1);
    const news = (batches: readonly Batch[]) =>
      batches.flatMap(({ ids, archived }) => ids.filter((_, i) => !archived.includes(i)));
    expect(news(after)).toEqual(news(rest));
    for (const { ids, archived } of after) for (const i of archived) expect(ids[i]!.offset).toBeGreaterThanOrEqual(30);
  });
});
