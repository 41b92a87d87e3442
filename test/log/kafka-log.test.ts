import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CompressionTypes, Kafka, logLevel, Partitioners } from 'kafkajs';
import { afterAll, describe, expect, test } from 'vitest';
import { freePort } from '../../scripts/free-port.ts';
import { RepulsorError } from '../../src/errors.ts';
import { KafkaClient } from '../../src/log/kafka/kafka-client.ts';
import { END, listOffset } from '../../src/log/kafka/wire.ts';
import { type KafkaAddress, parseLogUrl } from '../../src/log/log-url.ts';
import { openLog } from '../../src/log/open-log.ts';
import { brokerForTests } from './kafka-broker.ts';
import { bytes, collect, newName, readAll, textOf, textsOf, values } from './logs-under-test.ts';

/** What only a Kafka log has: credentials, other producers' batches, consumer groups, topic settings. */

const run = promisify(execFile);
const dir = await mkdtemp(join(tmpdir(), 'repulsor-kafka-'));
const securePort = await freePort();
const keystore = join(dir, 'keystore.p12');
const ca = join(dir, 'ca.pem');

/** A key and a certificate for 127.0.0.1, by the JDK's keytool. */
async function makeCertificate(): Promise<void> {
  const store = ['-keystore', keystore, '-storepass', 'store-secret', '-alias', 'broker'];
  const name = ['-dname', 'CN=127.0.0.1', '-ext', 'san=ip:127.0.0.1,dns:localhost', '-validity', '2'];
  await run('keytool', ['-genkeypair', '-keyalg', 'EC', '-storetype', 'PKCS12', ...store, ...name]);
  await run('keytool', ['-exportcert', '-rfc', ...store, '-file', ca]);
}

const secure = await makeCertificate().then(
  () => true,
  () => false, // no JDK: no broker either, and brokerForTests says so
);
const broker = await brokerForTests({
  ...(secure ? { extraListener: { port: securePort, protocol: 'SASL_SSL' } } : {}),
  formatArguments: ['--add-scram', 'SCRAM-SHA-256=[name=anna,password=anna-secret]'],
  settings: {
    // What a topic gets that says nothing of its own: the worst for us.
    'log.cleanup.policy': 'compact,delete',
    'log.retention.ms': '3600000',
    'log.retention.bytes': '9999999',
    'listener.name.extra.ssl.keystore.type': 'PKCS12',
    'listener.name.extra.ssl.keystore.location': keystore,
    'listener.name.extra.ssl.keystore.password': 'store-secret',
    'listener.name.extra.sasl.enabled.mechanisms': 'SCRAM-SHA-256',
    'listener.name.extra.scram-sha-256.sasl.jaas.config':
      'org.apache.kafka.common.security.scram.ScramLoginModule required;',
  },
});
afterAll(async () => {
  await broker?.kill();
  await rm(dir, { recursive: true, force: true });
});

describe.skipIf(broker === null)('a Kafka log', () => {
  const open = (): ReturnType<typeof openLog> => openLog(broker!.url);
  const kafkajs = (): Kafka => new Kafka({ brokers: [`127.0.0.1:${broker!.port}`], logLevel: logLevel.NOTHING });

  describe('over TLS with a password', () => {
    const url = `kafka://127.0.0.1:${securePort}?ssl.ca=${encodeURIComponent(ca)}`;
    const as = (password: string): NodeJS.ProcessEnv => ({
      REPULSOR_KAFKA_SASL_MECHANISM: 'scram-sha-256',
      REPULSOR_KAFKA_SASL_USERNAME: 'anna',
      REPULSOR_KAFKA_SASL_PASSWORD: password,
    });

    test('reads, writes and commits', async () => {
      const log = await openLog(url, { environment: as('anna-secret') });
      const topic = newName('topic');
      await log.createTopic(topic);
      await log.append(topic, values('plain'));
      const writer = await log.takeOver(newName('id'));
      const transaction = await writer.begin();
      await transaction.append(topic, values('committed'));
      await transaction.commit();
      const long = 'long '.repeat(60_000); // read past kafkajs (large-answers.ts)
      await log.append(topic, values(long));
      expect(await textsOf(log, topic)).toEqual(['plain', 'committed', long]);
      expect(log.url).not.toContain('secret');
      await log.close();
    });

    test('asked of a listener that knows no password is refused, and leaves no connection that keeps the process alive', async () => {
      const sockets = () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
      const before = sockets();
      await expect(openLog(broker!.url, { environment: as('anna-secret') })).rejects.toBeInstanceOf(RepulsorError);
      await expect.poll(sockets, { timeout: 30_000 }).toBeLessThanOrEqual(before);
    }, 60_000);

    test('refused says so, without the password', async () => {
      const error = await openLog(url, { environment: as('wrong-secret') }).catch((caught: unknown) => caught);
      expect(error).toMatchObject({
        code: 'LOG_UNREACHABLE',
        message: expect.stringContaining('refused the credentials'),
      });
      expect(JSON.stringify([String(error), (error as Error).stack])).not.toContain('wrong-secret');
    });

    test('without trust in the certificate does not connect', async () => {
      const plain = `kafka://127.0.0.1:${securePort}?ssl=true`;
      const refused = { code: 'LOG_UNREACHABLE', message: expect.stringMatching(/certificate/) };
      await expect(openLog(plain, { environment: as('anna-secret') })).rejects.toMatchObject(refused);
    });
  });

  test('closed, it connects no more: a request on its way would keep the process alive', async () => {
    const sockets = () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    const log = await open();
    const topic = newName('asked');
    await log.createTopic(topic);
    const before = sockets();
    const client = await KafkaClient.open(parseLogUrl(broker!.url) as KafkaAddress);
    const leader = await client.leader(topic, 0);
    await client.close();
    await expect(listOffset(leader, topic, 0, END)).rejects.toThrow('the log is closed');
    await expect.poll(sockets, { timeout: 10_000 }).toBeLessThanOrEqual(before);
  });

  test('makes topics that keep records for ever, or for as long as is set, with the writers’ timestamps', async () => {
    const log = await open();
    const admin = kafkajs().admin();
    await admin.connect();
    // Each said, whatever the broker's own settings are: here it compacts, and keeps little.
    const kept = {
      'retention.ms': '',
      'retention.bytes': '-1',
      'cleanup.policy': 'delete',
      'max.message.bytes': '8388608',
      'message.timestamp.type': 'CreateTime',
    };
    for (const [retentionMs, shown] of [
      [null, '-1'],
      [90_000, '90000'],
    ] as const) {
      const topic = newName('topic');
      await log.createTopic(topic, { retentionMs });
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: 2, name: topic, configNames: Object.keys(kept) }],
      });
      const settings = Object.fromEntries(
        resources[0]!.configEntries.map(({ configName, configValue }) => [configName, configValue]),
      );
      expect(settings).toEqual({ ...kept, 'retention.ms': shown });
    }
    await expect(log.createTopic('no/topic')).rejects.toMatchObject({ code: 'LOG_FAILED' });
    await admin.disconnect();
    await log.close();
  });

  test.each([CompressionTypes.None, CompressionTypes.GZIP])(
    'reads what another client wrote (compression %d), transactions among it',
    async (compression) => {
      const log = await open();
      const topic = newName('topic');
      await log.createTopic(topic);
      const kafka = kafkajs();
      const createPartitioner = Partitioners.DefaultPartitioner;
      const plain = kafka.producer({ createPartitioner });
      const transactional = kafka.producer({
        createPartitioner,
        transactionalId: newName('id'),
        idempotent: true,
        maxInFlightRequests: 1,
        retry: { initialRetryTime: 5 },
      });
      await plain.connect();
      await transactional.connect();
      const expected: string[] = [];
      for (let round = 0; round < 6; round++) {
        const messages = Array.from({ length: 50 }, (_, index) => ({
          value: `${round}:${index}`.padEnd(1000, '.'),
          partition: 0,
        }));
        const transaction = await transactional.transaction();
        await transaction.send({ topic, messages, compression });
        // A plain batch between the transaction's records and its marker; its key looks like the key of an abort marker.
        await plain.send({
          topic,
          compression,
          messages: [{ key: Buffer.from([0, 0, 0, 0]), value: `plain ${round}`, partition: 0 }],
        });
        await transaction.send({ topic, messages, compression });
        const kept = round % 2 === 0;
        await (kept ? transaction.commit() : transaction.abort());
        const texts = messages.map(({ value }) => value);
        expected.push(...(kept ? texts : []), `plain ${round}`, ...(kept ? texts : []));
      }
      await plain.disconnect();
      await transactional.disconnect();
      // kafkajs does not wait for the last marker, which readers have to.
      await expect.poll(() => textsOf(log, topic)).toEqual(expected);
      // From every offset, so that reads begin inside of batches and of aborted transactions.
      const whole = await readAll(log, topic);
      const { end } = await log.offsets(topic, 0);
      for (let from = 0; from <= end; from += 37) {
        const read = await collect(log.read(topic, { from: new Map([[0, from]]), to: new Map([[0, end]]) }));
        expect(read.map(({ offset }) => offset)).toEqual(
          whole.map(({ offset }) => offset).filter((offset) => offset >= from),
        );
      }
      await log.close();
    },
  );

  test('tells how a topic is kept, as it is now, and how many bytes of it are stored', async () => {
    const log = await open();
    const [ours, theirs] = [newName('topic'), newName('topic')];
    await log.createTopic(ours, { partitions: 2 });
    const forEver = { retentionMs: null, retentionBytes: null, compacted: false, maxRecordBytes: 8_388_608 };
    expect(await log.keeping(ours)).toEqual(forEver);
    const admin = kafkajs().admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: theirs }], waitForLeaders: true });
    const brokers = { retentionMs: 3_600_000, retentionBytes: 9_999_999, compacted: true, maxRecordBytes: 1_048_588 };
    expect(await log.keeping(theirs)).toEqual(brokers);
    const configEntries = Object.entries({ 'cleanup.policy': 'compact' }).map(([name, value]) => ({ name, value }));
    await admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: theirs, configEntries }] });
    // A topic that is only compacted removes nothing by age or size.
    const compactedOnly = { ...brokers, retentionMs: null, retentionBytes: null };
    await expect.poll(() => log.keeping(theirs)).toEqual(compactedOnly);
    await expect(log.keeping(newName('missing'))).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
    await log.append(ours, [{ partition: 1, value: new Uint8Array(50_000) }]);
    expect(await log.storedBytes(ours, 0)).toBe(0);
    const stored = (await log.storedBytes(ours, 1))!;
    expect(stored).toBeGreaterThan(50_000);
    expect(stored).toBeLessThan(51_000);
    await admin.disconnect();
    await log.close();
  });

  test('puts a consumer group’s offsets into the transaction, for outside tools to see', async () => {
    const log = await open();
    const topic = newName('topic');
    await log.createTopic(topic, { partitions: 2 });
    const group = newName('group');
    const writer = await log.takeOver(newName('id'));
    const admin = kafkajs().admin();
    await admin.connect();
    const seen = async (): Promise<string[]> => {
      const [of] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
      return of!.partitions.sort((a, b) => a.partition - b.partition).map(({ offset }) => offset);
    };
    for (const [fate, offsets, expected] of [
      ['commit', [3, 5], ['3', '5']],
      ['abort', [7, 9], ['3', '5']],
      ['commit', [8, 9], ['8', '9']],
    ] as const) {
      const transaction = await writer.begin();
      await transaction.append(topic, values('x'));
      await transaction.sendOffsets(group, topic, new Map(offsets.entries()));
      await transaction[fate]();
      expect(await seen()).toEqual(expected);
    }
    await admin.disconnect();
    await log.close();
  });

  test('refuses a record that the topic does not take, and says how large it is', async () => {
    const log = await open();
    const topic = newName('topic');
    await log.createTopic(topic);
    await expect(log.append(topic, [...values('small'), { value: new Uint8Array(9_000_000) }])).rejects.toMatchObject({
      code: 'BAD_RECORD',
      message: expect.stringMatching(/record 1 .* takes 90000\d\d bytes; the topic takes 8388608/),
    });
    await log.append(topic, [{ value: new Uint8Array(8_000_000) }]);
    await expect(log.append(topic, [{ value: null, timestamp: Date.now() + 1e9 }])).rejects.toMatchObject({
      code: 'BAD_RECORD',
    });
    await log.append(topic, values('next'));
    expect((await textsOf(log, topic)).at(-1)).toBe('next');
    await log.close();
  });

  test('is open to many reads at once, each with its own place', async () => {
    const log = await open();
    const topic = newName('topic');
    await log.createTopic(topic, { partitions: 3 });
    const records = Array.from({ length: 90 }, (_, index) => ({ partition: index % 3, value: bytes(String(index)) }));
    await log.append(topic, records);
    const from = new Map([
      [0, 0],
      [1, 0],
      [2, 0],
    ]);
    const following = Array.from({ length: 4 }, () => collect(log.read(topic, { from }), 93));
    const bounded = await Promise.all(Array.from({ length: 4 }, () => readAll(log, topic)));
    for (const read of bounded)
      expect(read.map(({ value }) => textOf(value))).toEqual(records.map((_, index) => String(index)));
    await log.append(
      topic,
      [0, 1, 2].map((partition) => ({ partition, value: bytes('late') })),
    );
    for (const read of await Promise.all(following))
      expect(read.filter(({ value }) => textOf(value) === 'late').length).toBe(3);
    await log.close();
  });
});
