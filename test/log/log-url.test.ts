import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { clientConfig } from '../../src/log/kafka/kafka-client.ts';
import { type KafkaAddress, parseLogUrl } from '../../src/log/log-url.ts';
import { openLog } from '../../src/log/open-log.ts';

const kafka = (url: string, environment = {}): KafkaAddress => parseLogUrl(url, environment) as KafkaAddress;

describe('a file URL', () => {
  test.each([
    ['file:logs', resolve('logs')],
    ['file:./a/../b', resolve('b')],
    ['file:/var/logs', '/var/logs'],
    ['file:///var/my%20logs', '/var/my logs'],
    ['file:/var/100%', '/var/100%'],
  ])('%s names the folder %s', (url, folder) => {
    expect(parseLogUrl(url)).toEqual({ kind: 'file', url, folder });
  });
});

describe('a Kafka URL', () => {
  test('names brokers, with Kafka’s port as the default', () => {
    expect(kafka('kafka://a:1,b.example.org,c:9093')).toEqual({
      kind: 'kafka',
      url: 'kafka://a:1,b.example.org:9092,c:9093',
      brokers: ['a:1', 'b.example.org:9092', 'c:9093'],
      clientId: 'repulsor',
      ssl: null,
      sasl: null,
    });
  });

  test('gives TLS and SASL to the client, from the URL or from the environment', () => {
    const environment = {
      REPULSOR_KAFKA_SSL: 'true',
      REPULSOR_KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
      REPULSOR_KAFKA_SASL_USERNAME: 'anna',
      REPULSOR_KAFKA_SASL_PASSWORD: 'from the environment',
    };
    expect(clientConfig(kafka('kafka://a', environment))).toMatchObject({
      brokers: ['a:9092'],
      ssl: {},
      sasl: { mechanism: 'scram-sha-512', username: 'anna', password: 'from the environment' },
    });
    expect(clientConfig(kafka('kafka://bert:s%40%3Acret@a?ssl=false&sasl=plain', environment))).toMatchObject({
      sasl: { mechanism: 'plain', username: 'bert', password: 's@:cret' },
    });
    expect(clientConfig(kafka('kafka://bert:x@a?ssl=false', environment)).ssl).toBeUndefined();
    expect(clientConfig(kafka('kafka://a')).sasl).toBeUndefined();
  });

  test('gives the certificates to the client', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'repulsor-pem-'));
    afterAll(() => rm(dir, { recursive: true, force: true }));
    for (const name of ['ca', 'cert', 'key']) await writeFile(join(dir, name), `the ${name}`);
    const url = `kafka://a?ssl.ca=${dir}/ca&ssl.cert=${dir}/cert&ssl.key=${dir}/key`;
    expect(clientConfig(kafka(url)).ssl).toEqual({ ca: 'the ca', cert: 'the cert', key: 'the key' });
    expect(clientConfig(kafka('kafka://a', { REPULSOR_KAFKA_SSL_CA: join(dir, 'ca') })).ssl).toMatchObject({
      ca: 'the ca',
    });
    expect(() => clientConfig(kafka(`kafka://a?ssl.ca=${dir}/none`))).toThrow(/none/);
  });

  test('is shown without secrets', () => {
    const { url } = kafka('kafka://anna:hunter2@a:1?password=hunter2&username=anna&ssl=true&client.id=me');
    expect(url).toBe('kafka://a:1?ssl=true&client.id=me');
  });
});

describe('what is no URL of a log', () => {
  test.each([
    ['logs', /no scheme/],
    ['', /no scheme/],
    ['http://a', /"http:"/],
    ['file:', /needs a folder/],
    ['file://host/logs', /names no folder/],
    ['kafka://', /no broker/],
    ['kafka://a:0', /port/],
    ['kafka://a:b', /port/],
    ['kafka://a,,b', /no broker/],
    ['kafka://[::1]:9092', /IPv6/],
    ['kafka://a?tls=true', /a setting that is none of ssl, ssl\.ca/],
    ['kafka://a?username=u&password=x&hunter2', /a setting that is none of ssl/],
    ['//a?username=u&password=hunter2', /no scheme/],
    ['file://anna:hunter2@a/x', /names no folder/],
    ['kafka://a?ssl=yes', /true or false/],
    ['kafka://a?ssl.cert=x', /both/],
    ['kafka://a?sasl=kerberos&username=u&password=hunter2', /kerberos/],
    ['kafka://u@a', /needs a password/],
    ['kafka://:hunter2@a', /needs a user name/],
    ['kafka://anna:hunter2', /broker 1 has no valid port/],
    ['kafka://anna:hunter2?x@a:9092', /broker 1 has no valid port/],
    ['kafka://u:%zz@a', /percent/],
  ])('%s is refused with a reason, and without the secret', async (url, reason) => {
    const error = await openLog(url, { environment: {} }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'CONFIG', exitStatus: 2, message: expect.stringMatching(reason) });
    expect(String(error)).not.toContain('hunter2');
  });
});
