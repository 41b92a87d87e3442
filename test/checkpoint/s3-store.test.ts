import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { freePort } from '../../scripts/free-port.ts';
import type { OnEffect } from '../../src/checkpoint/effects.ts';
import { openS3Store } from '../../src/checkpoint/s3/s3-store.ts';
import { Toxiproxy } from '../faults/toxiproxy.ts';
import { s3ForTests } from './s3-server.ts';
import { content, read, sha256, storeContract } from './store-contract.ts';

const server = await s3ForTests();
const environment = { ...process.env };

let places = 0;
const newPrefix = () => `runs/${++places}`;
const open = (prefix: string, onEffect?: OnEffect) =>
  openS3Store(`s3://${server!.bucket}/${prefix}`, onEffect && { onEffect });

/** Requests that a piece of work makes, counted by the server. */
async function requestsOf(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = (await server!.requests()).length;
  await work();
  const counts: Record<string, number> = {};
  for (const request of (await server!.requests()).slice(before)) counts[request] = (counts[request] ?? 0) + 1;
  return counts;
}

describe.runIf(server !== null)('a bucket of S3', () => {
  const Bucket = server?.bucket ?? '';
  const client = new S3Client({ forcePathStyle: true });
  const uploads = async (prefix: string) =>
    (await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: prefix }))).Uploads ?? [];

  storeContract(async () => {
    const prefix = newPrefix();
    return {
      open: async (onEffect) => open(prefix, onEffect),
      async names() {
        const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: `${prefix}/` }));
        return Contents.map(({ Key }) => Key!.slice(prefix.length + 1)).sort();
      },
      path: (name) => `s3://${Bucket}/${prefix}/${name}`,
      write: async (name, bytes) => {
        await client.send(new PutObjectCommand({ Bucket, Key: `${prefix}/${name}`, Body: bytes }));
      },
      remove: async (name) => {
        await client.send(new DeleteObjectCommand({ Bucket, Key: `${prefix}/${name}` }));
      },
      async leaveUnfinished(owner) {
        const Key = `${prefix}/${sha256(Buffer.from(`${owner}`))}-${owner}`;
        const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
        await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: 'half' }));
      },
      unfinished: async () => (await uploads(prefix)).length,
      close: async () => undefined,
      effects: { first: ['put-object'], again: [], other: ['copy-object'] },
    };
  });

  test('a blob that is there costs a listing, and no bytes; another owner’s a copy on the server', async () => {
    const store = open(newPrefix());
    const large = content(Buffer.alloc(40 * 1024 * 1024, 'z'));
    expect(await requestsOf(() => store.put(large, 1))).toEqual({
      'ListObjectsV2 200': 1,
      'CreateMultipartUpload 200': 1,
      'UploadPart 200': 3,
      'CompleteMultipartUpload 200': 1,
    });
    expect(await requestsOf(() => store.put(large, 1))).toEqual({ 'ListObjectsV2 200': 1 });
    expect(await requestsOf(() => store.put(large, 2))).toEqual({ 'ListObjectsV2 200': 1, 'CopyObject 200': 1 });
  });

  test('an object that came between the look and the write is not overwritten', async () => {
    for (const size of [10, 17 * 1024 * 1024]) {
      const prefix = newPrefix();
      const bytes = content(Buffer.alloc(size, 'w'));
      let raced = false;
      const store = open(prefix, async (moment, effect) => {
        if (raced || moment !== 'before' || !['put-object', 'complete-upload'].includes(effect)) return;
        raced = true;
        await open(prefix).put(bytes, 1);
      });
      const requests = await requestsOf(async () => {
        expect(await store.put(bytes, 1)).toMatchObject({ written: false });
      });
      expect(requests[size === 10 ? 'PutObject 412' : 'CompleteMultipartUpload 412']).toBe(1);
      expect(await uploads(prefix)).toEqual([]);
    }
  });

  test('four parts are under way at most, and a part that fails ends the upload with nothing left', async () => {
    const prefix = newPrefix();
    let under = 0;
    let most = 0;
    let parts = 0;
    const store = open(prefix, (moment, effect) => {
      if (effect !== 'upload-part') return;
      under += moment === 'before' ? 1 : -1;
      most = Math.max(most, under);
      if (moment === 'before' && ++parts === 6) {
        under--;
        throw Object.assign(new Error('cut'), { code: 'ECONNRESET' });
      }
    });
    const chunk = Buffer.alloc(8 * 1024 * 1024, 'q');
    const large = content(...Array.from({ length: 20 }, () => chunk));
    await expect(store.put(large, 1)).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining('the server cannot be reached (ECONNRESET)'),
    });
    expect([most, parts < 10]).toEqual([4, true]);
    expect(await uploads(prefix)).toEqual([]);
    expect(await store.list()).toEqual([]);
    expect(await store.put(large, 1)).toMatchObject({ written: true });
  });

  test('a listing of more than one page is whole', async () => {
    const prefix = newPrefix();
    const store = open(prefix);
    const { ref } = await store.put(content(Buffer.from('many')), 0);
    // As files where the server has its objects: a thousand requests would take seconds.
    const folder = join(server!.dir, 'buckets', Bucket, prefix);
    for (let owner = 1; owner <= 1_005; owner++) await writeFile(join(folder, `${ref.sha256}-${owner}`), 'many');
    const requests = await requestsOf(async () => expect((await store.list()).length).toBe(1_006));
    expect(requests).toEqual({ 'ListObjectsV2 200': 2 });
    expect((await read(store, ref)).toString()).toBe('many');
  });

  test('connections that break in the middle of a body are gone on with, both ways', { timeout: 300_000 }, async () => {
    const port = await freePort();
    const proxy = await Toxiproxy.start(port, server!.port);
    // Every connection breaks after so much: less than a part, and than a range.
    const broken = (stream: 'upstream' | 'downstream') =>
      proxy.add({ type: 'limit_data', stream, attributes: { bytes: 4 * 1024 * 1024 } });
    Object.assign(process.env, { AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`, AWS_MAX_ATTEMPTS: '20' });
    try {
      let parts = 0;
      const store = open(newPrefix(), async (moment, effect) => {
        if (effect !== 'upload-part' || moment !== 'before' || ++parts > 1) return;
        await broken('upstream');
        setTimeout(() => void proxy.heal(), 1_000);
      });
      const chunks = Array.from({ length: 6 }, (_, i) => Buffer.alloc(8 * 1024 * 1024 + i, `piece ${i}`));
      const { ref } = await store.put(content(...chunks), 1);

      await broken('downstream');
      const asked = async () => (await server!.requests()).filter((request) => request.startsWith('GetObject ')).length;
      const before = await asked();
      let failed = false;
      const reading = read(store, ref);
      reading.catch(() => {
        failed = true;
      });
      // Four ranges are asked for at a time, and none comes whole: the fifth request is a second try.
      while (!failed && (await asked()) < before + 5) await sleep(20);
      await proxy.heal();
      expect(sha256(await reading)).toBe(ref.sha256);

      process.env['AWS_MAX_ATTEMPTS'] = '2';
      await proxy.refuse(true);
      await expect(read(open('elsewhere'), ref)).rejects.toMatchObject({
        code: 'STORE_FAILED',
        message: expect.stringContaining('the server cannot be reached'),
      });
    } finally {
      delete process.env['AWS_MAX_ATTEMPTS'];
      Object.assign(process.env, server!.environment);
      await proxy.stop();
    }
  });

  describe('says what is wrong, where, and what to do', () => {
    const put = (url: string) => openS3Store(url).put(content(Buffer.from('x')), 1);
    const secret = server?.environment['AWS_SECRET_ACCESS_KEY'] ?? '-';
    const failures: [string, Record<string, string | undefined>, string, RegExp, RegExp][] = [
      ['no such bucket', {}, 's3://nowhere/runs', /there is no such bucket \(NoSuchBucket\)/, /Create the bucket/],
      ['a wrong secret', { AWS_SECRET_ACCESS_KEY: 'wrong-secret' }, '', /the credentials are refused \(Sig/, /secret/],
      ['an unknown key', { AWS_ACCESS_KEY_ID: 'nobody' }, '', /the credentials are refused/, /access key/],
      [
        'no credentials',
        { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined },
        '',
        /no credentials are found/,
        /AWS_PROFILE/,
      ],
      ['no server', { AWS_ENDPOINT_URL: 'http://127.0.0.1:9' }, '', /cannot be reached \(.*ECONNREFUSED/, /endpoint/],
      ['no such host', { AWS_ENDPOINT_URL: 'http://s3.invalid' }, '', /cannot be reached/, /endpoint/],
      [
        'no region, on AWS',
        { AWS_ENDPOINT_URL: undefined, AWS_REGION: undefined },
        '',
        /no region is set/,
        /AWS_REGION/,
      ],
    ];
    test.each(failures)('%s', async (_name, changes, url, message, hint) => {
      const quick = {
        AWS_MAX_ATTEMPTS: '1',
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_CONFIG_FILE: '/nowhere',
        AWS_SHARED_CREDENTIALS_FILE: '/nowhere',
      };
      for (const [name, value] of Object.entries({ ...quick, ...changes })) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
      try {
        const error = await put(url === '' ? `s3://${Bucket}/x` : url).then(
          () => null,
          (e: unknown) => e,
        );
        expect(error).toMatchObject({
          code: 'STORE_FAILED',
          message: expect.stringMatching(message),
          hint: expect.stringMatching(hint),
        });
        expect((error as Error).message).toContain('s3://');
        expect(JSON.stringify(error) + (error as Error).message).not.toMatch(new RegExp(`${secret}|wrong-secret`));
        expect((error as Error).cause).toBeUndefined();
      } finally {
        for (const name of Object.keys({ ...quick, ...changes })) delete process.env[name];
        Object.assign(process.env, environment, server!.environment);
      }
    });
  });
});

test.each([
  's3://',
  's3:///x',
  's3://Upper/x',
  's3://bucket//x',
  's3://bucket/a/../b',
  's3://key:secret@bucket/x',
  's3://b/x',
])('%s does not name a place in S3, and nothing secret of it is repeated', (url) => {
  expect(() => openS3Store(url)).toThrow(expect.objectContaining({ code: 'CONFIG' }));
  expect(() => openS3Store(url)).not.toThrow(/secret/);
});
