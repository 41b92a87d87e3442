import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { freePort } from '../../scripts/free-port.ts';
import { openLog } from '../../src/log/open-log.ts';
import { API, CuttingProxy } from './cutting-proxy.ts';
import { brokerForTests } from './kafka-broker.ts';
import { bytes, collect, newName, readAll, textOf, textsOf, values } from './logs-under-test.ts';

/** Connections that break and brokers that die, at the worst moment. */

const dir = await mkdtemp(join(tmpdir(), 'repulsor-kafka-faults-'));
const proxyPort = await freePort();
const first = await brokerForTests({ dir, advertisedPort: proxyPort });
let broker = first;
afterAll(async () => {
  await broker?.kill();
  await rm(dir, { recursive: true, force: true });
});

describe.skipIf(first === null)('behind a proxy that cuts connections', () => {
  const start = (): Promise<CuttingProxy> => CuttingProxy.start(proxyPort, broker!.port);

  test.each(['request', 'answer'] as const)('an append whose %s is lost is there once', async (cut) => {
    const proxy = await start();
    const log = await openLog(`kafka://127.0.0.1:${proxyPort}`);
    const topic = newName('topic');
    await log.createTopic(topic);
    await log.append(topic, values('before'));
    proxy.cutNext(API.produce, cut);
    expect(await log.append(topic, values('a', 'b'))).toEqual([
      { partition: 0, offset: 1 },
      { partition: 0, offset: 2 },
    ]);
    expect(await log.append(topic, values('after'))).toEqual([{ partition: 0, offset: 3 }]);
    expect(await textsOf(log, topic)).toEqual(['before', 'a', 'b', 'after']);
    expect(proxy.done).toBe(1);
    await log.close();
    await proxy.stop();
  });

  test.each(['request', 'answer'] as const)(
    'a transaction of which the %s of every step is lost once is there once',
    async (cut) => {
      const proxy = await start();
      const log = await openLog(`kafka://127.0.0.1:${proxyPort}`);
      const [one, two] = [newName('topic'), newName('topic')];
      for (const topic of [one, two]) await log.createTopic(topic);
      const id = newName('id');
      proxy.cutNext(API.initProducerId, cut);
      const writer = await log.takeOver(id);
      for (const key of [API.addPartitionsToTxn, API.produce, API.endTxn]) proxy.cutNext(key, cut);
      const transaction = await writer.begin();
      await transaction.append(one, values('a'));
      await transaction.append(two, values('a'));
      await transaction.commit();
      expect(proxy.done).toBe(4);
      const next = await writer.begin();
      await next.append(one, values('b'));
      await next.commit();
      expect([await textsOf(log, one), await textsOf(log, two)]).toEqual([['a', 'b'], ['a']]);
      await log.close();
      await proxy.stop();
    },
  );

  test('a commit that is asked again after a takeover is FENCED, and its records are there whole or not at all', async () => {
    const proxy = await start();
    const [old, young] = [
      await openLog(`kafka://127.0.0.1:${proxyPort}`),
      await openLog(`kafka://127.0.0.1:${broker!.port}`),
    ];
    const topic = newName('topic');
    await old.createTopic(topic);
    const id = newName('id');
    const zombie = await old.takeOver(id);
    const transaction = await zombie.begin();
    await transaction.append(topic, values('a', 'b'));
    proxy.cutNext(API.endTxn, 'request');
    const commit = transaction.commit();
    await expect.poll(() => proxy.done).toBe(1);
    const taking = young.takeOver(id);
    const [outcome] = await Promise.allSettled([commit, taking]);
    const seen = await textsOf(young, topic);
    if (outcome.status === 'fulfilled') expect(seen).toEqual(['a', 'b']);
    else expect([outcome.reason.code, seen]).toEqual(['FENCED', []]);
    await Promise.all([old.close(), young.close()]);
    await proxy.stop();
  });

  test('a reader goes on where its connection was cut', async () => {
    const proxy = await start();
    const log = await openLog(`kafka://127.0.0.1:${proxyPort}`);
    const topic = newName('topic');
    await log.createTopic(topic, { partitions: 2 });
    const count = 300;
    for (let part = 0; part < 3; part++) {
      await log.append(
        topic,
        Array.from({ length: count / 3 }, (_, index) => ({
          partition: index % 2,
          value: new Uint8Array(40_000).fill(index),
        })),
      );
    }
    const whole = await readAll(log, topic);
    const read = log.read(topic, {
      from: new Map([
        [0, 0],
        [1, 0],
      ]),
      to: new Map([
        [0, count / 2],
        [1, count / 2],
      ]),
      maxBufferedBytes: 1_000_000,
    });
    const seen = [];
    for await (const record of read) {
      seen.push([record.partition, record.offset]);
      if (seen.length === 50 || seen.length === 150) proxy.cutNext(1, seen.length === 50 ? 'request' : 'answer');
    }
    expect(seen).toEqual(whole.map(({ partition, offset }) => [partition, offset]));
    expect(proxy.done).toBe(2);
    await log.close();
    await proxy.stop();
  });
});

describe.skipIf(first === null)('a broker that is killed and started again', () => {
  test('loses nothing that was acknowledged; readers and writers go on', async () => {
    const proxy = await CuttingProxy.start(proxyPort, broker!.port);
    const log = await openLog(broker!.url);
    const topic = newName('topic');
    await log.createTopic(topic);
    const writer = await log.takeOver(newName('id'));
    const transact = async (text: string): Promise<void> => {
      const transaction = await writer.begin();
      await transaction.append(topic, [{ value: bytes(text) }]);
      await transaction.commit();
    };
    const following = collect(log.read(topic, { from: new Map([[0, 0]]) }), 4);
    await transact('a');
    await transact('b');
    const { port } = broker!;
    await broker!.kill();
    const later = transact('c');
    broker = await brokerForTests({ dir, port, advertisedPort: proxyPort });
    await later;
    await transact('d');
    expect((await following).map(({ value }) => textOf(value))).toEqual(['a', 'b', 'c', 'd']);
    await log.close();
    await proxy.stop();
  });

  test('while it is away is LOG_UNREACHABLE with its address, within some seconds', async () => {
    const port = await freePort();
    const begun = performance.now();
    await expect(openLog(`kafka://127.0.0.1:${port}`)).rejects.toMatchObject({
      code: 'LOG_UNREACHABLE',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
    expect(performance.now() - begun).toBeLessThan(10_000);
  });
});
