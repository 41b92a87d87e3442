import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decodeImages } from '../../src/codec/images.ts';
import type { ImageBatch } from '../../src/codec/records.ts';
import { decode } from '../../src/codec/single-object.ts';
import { RepulsorError } from '../../src/errors.ts';
import { type ImageFolderSettings, imageFolder } from '../../src/ingest/image-folder.ts';
import { type IngestCounts, type IngestSettings, ingest } from '../../src/ingest/ingest.ts';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';

type Colour = { r: number; g: number; b: number; alpha?: number };
const RED = { r: 255, g: 0, b: 0 };
const BLUE = { r: 0, g: 0, b: 255 };

const plain = (height: number, width: number, background: Colour) =>
  sharp({ create: { width, height, channels: background.alpha === undefined ? 3 : 4, background } });

describe('a folder of images', () => {
  let folder: string;
  let log: Log;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'folder-'));
    log = await openLog(`file:${join(folder, 'log')}`);
  });

  afterEach(async () => {
    await log.close();
    await rm(folder, { recursive: true });
  });

  const put = async (path: string, bytes: Uint8Array): Promise<void> => {
    const file = join(folder, 'images', path);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, bytes);
  };

  async function ingested(
    folderSettings: ImageFolderSettings = {},
    settings: Partial<IngestSettings> = {},
    partitions = 1,
  ): Promise<{ counts: IngestCounts; batches: ImageBatch[]; partitions: number[] }> {
    await log.createTopic('images', { partitions });
    const source = await imageFolder(join(folder, 'images'), folderSettings);
    const counts = await ingest(log, 'images', source, { time: 1, ...settings });
    const all = await log.partitions('images');
    const to = new Map(await Promise.all(all.map(async (p) => [p, (await log.offsets('images', p)).end] as const)));
    const batches: ImageBatch[] = [];
    const lay: number[] = [];
    for await (const record of log.read('images', { from: new Map(all.map((p) => [p, 0])), to })) {
      batches.push(decode('image-batch', record.value!));
      lay.push(record.partition);
    }
    return { counts, batches, partitions: lay };
  }

  test('keeps files as they are, labelled by the order of the subfolders, one shape and format a record', async () => {
    const files = {
      'b/1.png': await plain(4, 6, RED).png().toBuffer(),
      'b/2.JPG': await plain(4, 6, RED).jpeg().toBuffer(),
      'a/1.webp': await plain(4, 6, BLUE).webp().toBuffer(),
      'a/2.png': await plain(4, 6, BLUE).png().toBuffer(),
      'a/3.png': await plain(5, 6, BLUE).png().toBuffer(),
      'a/notes.txt': Buffer.from('not an image'),
      '.hidden/1.png': await plain(4, 6, RED).png().toBuffer(),
    };
    for (const [path, bytes] of Object.entries(files)) await put(path, bytes);
    const { counts, batches } = await ingested();
    expect(counts).toMatchObject({ images: 5, records: 4, unreadable: [] });
    const found = batches.flatMap(({ images, labels, shape, encoding }) =>
      images.map((bytes, i) => `${encoding} ${shape.join('x')} ${labels![i]} ${Buffer.from(bytes).toString('hex')}`),
    );
    const expected = [
      ['PNG 4x6x3 1', 'b/1.png'],
      ['JPEG 4x6x3 1', 'b/2.JPG'],
      ['WEBP 4x6x3 0', 'a/1.webp'],
      ['PNG 4x6x3 0', 'a/2.png'],
      ['PNG 5x6x3 0', 'a/3.png'],
    ] as const;
    expect(found.sort()).toEqual(expected.map(([head, path]) => `${head} ${files[path].toString('hex')}`).sort());
    for (const batch of batches) expect(await decodeImages(batch)).not.toContainEqual(expect.any(Error));
  });

  test('resized, every image covers the size, cut at its centre, upright, transparency on white', async () => {
    const bars = sharp(await plain(10, 30, RED).png().toBuffer()).composite([
      { input: await plain(10, 10, BLUE).png().toBuffer(), left: 10, top: 0 },
    ]);
    await put('wide/1.png', await bars.png().toBuffer());
    // Stored lying on its side: the tag says that its top is at the right.
    const lying = sharp(await plain(8, 8, RED).png().toBuffer()).composite([
      { input: await plain(8, 4, BLUE).png().toBuffer(), left: 0, top: 0 },
    ]);
    await put(
      'turned/1.png',
      await sharp(await lying.png().toBuffer())
        .withMetadata({ orientation: 6 })
        .png()
        .toBuffer(),
    );
    await put(
      'clear/1.png',
      await plain(8, 8, { ...RED, alpha: 0 })
        .png()
        .toBuffer(),
    );
    const { batches } = await ingested({ size: { height: 8, width: 8, channels: 3 } });
    expect(batches).toHaveLength(1);
    const [batch] = batches as [ImageBatch];
    expect(batch).toMatchObject({ shape: [8, 8, 3], encoding: 'RAW_U8' });
    const images = await decodeImages(batch);
    const pixel = (label: number, y: number, x: number) => {
      const image = images[batch.labels!.indexOf(label)] as Uint8Array;
      return [...image.subarray((y * 8 + x) * 3, (y * 8 + x) * 3 + 3)];
    };
    expect(pixel(0, 4, 4)).toEqual([255, 255, 255]); // clear
    expect([pixel(1, 1, 4), pixel(1, 6, 4)]).toEqual([Object.values(BLUE), Object.values(RED)]); // turned
    expect([pixel(2, 4, 2), pixel(2, 4, 4), pixel(2, 4, 5)]).toEqual(Array(3).fill(Object.values(BLUE))); // wide
  });

  test('reports what cannot be read by its name, and goes on', async () => {
    await put('a/good.png', await plain(4, 4, RED).png().toBuffer());
    await put('a/text.png', Buffer.from('hello'));
    const large = await sharp(Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) & 255)), {
      raw: { width: 64, height: 64, channels: 3 },
    })
      .png()
      .toBuffer();
    await put('b/cut.png', large.subarray(0, large.length / 2));
    const { counts } = await ingested({ size: { height: 4, width: 4, channels: 1 } });
    expect(counts.images).toBe(1);
    expect(counts.unreadable.map(({ name }) => name).sort()).toEqual([join('a', 'text.png'), join('b', 'cut.png')]);
  });

  test('fails when nothing can be read, naming the first and why', async () => {
    await put('a/text.png', Buffer.from('hello'));
    await expect(ingested()).rejects.toThrow(/text\.png: it is neither/);
    expect(await log.offsets('images', 0)).toEqual({ earliest: 0, end: 0 });
  });

  test('fails when there is no image or no folder', async () => {
    await mkdir(join(folder, 'images'));
    await expect(imageFolder(join(folder, 'images'))).rejects.toThrow(RepulsorError);
    await expect(imageFolder(join(folder, 'nowhere'))).rejects.toThrow(/nowhere/);
  });

  test('without subfolders the images have no labels', async () => {
    await put('1.png', await plain(4, 4, RED).png().toBuffer());
    const { batches } = await ingested();
    expect(batches.map(({ labels }) => labels)).toEqual([null]);
  });

  test('records stay below 900 kB and the partitions take them in turn', async () => {
    for (let i = 0; i < 9; i++) await put(`a/${i}.png`, await plain(300, 300, RED).png().toBuffer());
    const { counts, batches, partitions } = await ingested({ size: { height: 300, width: 300, channels: 3 } }, {}, 2);
    expect(batches.map(({ images }) => images.length)).toEqual([3, 3, 3]);
    expect(counts.bytes / counts.records).toBeLessThan(900_000);
    expect(partitions).toEqual([0, 1, 0]);
  });

  test('an image larger than a record is passed over and reported', async () => {
    await put('a/small.png', await plain(4, 4, RED).png().toBuffer());
    await put('a/large.png', Buffer.concat([await plain(4, 4, RED).png().toBuffer(), Buffer.alloc(900_000)]));
    const { counts } = await ingested();
    expect(counts).toMatchObject({ images: 1, unreadable: [{ name: join('a', 'large.png') }] });
  });

  test('atomic, a failure on the way leaves nothing in the topic', async () => {
    await put('a/1.png', await plain(300, 300, RED).png().toBuffer());
    await log.createTopic('images');
    const source = await imageFolder(join(folder, 'images'));
    const failing = {
      ...source,
      async *images() {
        for (let i = 0; i < 60; i++) {
          const bytes = new Uint8Array(300 * 300);
          yield { shape: [300, 300, 1] as const, encoding: 'RAW_U8' as const, bytes, label: 0, name: `${i}` };
        }
        throw new Error('the disk is gone');
      },
    };
    await expect(ingest(log, 'images', failing, { time: 1, atomic: true })).rejects.toThrow('the disk is gone');
    const { end } = await log.offsets('images', 0);
    const seen = [];
    for await (const record of log.read('images', { from: new Map([[0, 0]]), to: new Map([[0, end]]) }))
      seen.push(record);
    expect(seen).toEqual([]);
  });
});
