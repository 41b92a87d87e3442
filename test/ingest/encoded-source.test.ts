import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openVaeEncoder, type VaeEncoder } from '../../src/autoencoder/vae-encoder.ts';
import { decodeImages, type Moments } from '../../src/codec/images.ts';
import type { Encoder } from '../../src/codec/records.ts';
import { decode } from '../../src/codec/single-object.ts';
import { encodedSource, type Keeping } from '../../src/ingest/encoded-source.ts';
import { ingest } from '../../src/ingest/ingest.ts';
import type { ImageSource, SourceImage, UnreadableImage } from '../../src/ingest/source.ts';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import { normals } from '../../src/random/philox.ts';
import { POOLING, pointing, writeModel } from '../autoencoder/models.ts';

let folder: string;
let encoder: VaeEncoder;
const NAMED: Encoder = { sha256: 'e'.repeat(64), decoder: null, scale: 0.5 };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-encoded-'));
  encoder = await openVaeEncoder(await writeModel(folder, 'pooling.onnx', POOLING));
});
afterAll(async () => {
  await encoder.close();
  await rm(folder, { recursive: true });
});

const raw = (name: string, bytes: number[], shape: SourceImage['shape'] = [2, 4, 1]): SourceImage => ({
  name,
  shape,
  bytes: Uint8Array.from(bytes),
  encoding: 'RAW_U8',
  label: bytes[0]! % 10,
});

const sourceOf = (images: readonly (SourceImage | UnreadableImage)[]): ImageSource => ({
  id: 'test',
  classes: [],
  total: images.length,
  async *images() {
    yield* images;
  },
});

/** Left block 10, right block 20 + 2n, all alike but for the right one. */
const image = (n: number) => raw(`image ${n}`, [10, 10, 20 + 2 * n, 20 + 2 * n, 10, 10, 20 + 2 * n, 20 + 2 * n]);
const unit = (value: number) => value / 127.5 - 1;

async function encoded(
  images: readonly (SourceImage | UnreadableImage)[],
  keeping: Keeping,
  { mirror = false, by = encoder } = {},
): Promise<(SourceImage | UnreadableImage)[]> {
  const found = [];
  const source = encodedSource(sourceOf(images), { encoder: by, keeping, named: NAMED, mirror });
  for await (const one of source.images()) found.push(one);
  return found;
}

const values = (one: SourceImage | UnreadableImage | undefined): number[] => {
  if (one === undefined || 'unreadable' in one) throw new Error(`no latent: ${JSON.stringify(one)}`);
  return [...new Float32Array(new Uint8Array(one.bytes).buffer)];
};

describe('images become latents', () => {
  test('in their order, with their labels and names, more than one run takes; the encoder is named', async () => {
    const images = Array.from({ length: 100 }, (_, n) => image(n));
    const found = await encoded(images, 'mean');
    expect(found.length).toBe(100);
    for (const [n, one] of found.entries()) {
      expect(one).toMatchObject({
        name: `image ${n}`,
        label: 0,
        shape: [1, 2, 1],
        encoding: 'LATENT_F32',
        encoder: NAMED,
      });
      const [left, right] = values(one);
      expect(left).toBeCloseTo(unit(10), 5);
      expect(right).toBeCloseTo(unit(20 + 2 * n), 5);
    }
  });

  test('drawn by their number alone, the same each time', async () => {
    const images = Array.from({ length: 70 }, (_, n) => image(n));
    const [means, drawn, moments] = await Promise.all(
      (['mean', 'sample', 'moments'] as const).map((keeping) => encoded(images, keeping)),
    );
    expect(await encoded(images, 'sample')).toEqual(drawn);
    for (let n = 0; n < images.length; n++) {
      const [mean0, mean1, std0, std1] = values(moments![n]);
      expect([mean0, mean1]).toEqual(values(means![n]));
      const z = normals(0, 'encode', n, 2);
      const wanted = [mean0! + std0! * z[0]!, mean1! + std1! * z[1]!].map(Math.fround);
      expect(values(drawn![n])).toEqual(wanted);
    }
    expect(moments![0]).toMatchObject({ encoding: 'LATENT_MOMENTS_F32', shape: [1, 2, 1] });
  });

  test('mirrored too, each after its image', async () => {
    const found = await encoded([image(1), image(2)], 'mean', { mirror: true });
    expect(found.map(({ name }) => name)).toEqual(['image 1', 'image 1', 'image 2', 'image 2']);
    expect(values(found[1])).toEqual(values(found[0]).reverse());
    expect(values(found[3])).toEqual(values(found[2]).reverse());
  });

  test('whatever format and size they come in; what cannot be decoded is named in its place', async () => {
    const png = async (channels: 3 | 4) =>
      new Uint8Array(
        await sharp({ create: { width: 4, height: 2, channels, background: { r: 255, g: 0, b: 255, alpha: 0.5 } } })
          .png()
          .toBuffer(),
      );
    const file = (name: string, bytes: Uint8Array): SourceImage => ({
      ...{ name, bytes, encoding: 'PNG', label: null, shape: [2, 4, 3] },
    });
    const by = await openVaeEncoder(await writeModel(folder, 'points.onnx', pointing(1)));
    const images = [
      file('rgb', await png(3)),
      { name: 'gone', unreadable: 'it is gone' },
      file('rgba', await png(4)),
      file('broken', Uint8Array.of(1, 2, 3)),
      raw('odd', Array(15).fill(255), [5, 3, 1]),
      raw('large', Array(16).fill(255), [4, 4, 1]),
      file('rgb again', await png(3)),
    ];
    const found = await encoded(images, 'mean', { by });
    await by.close();
    expect(found.map(({ name }) => name)).toEqual(images.map(({ name }) => name));
    expect(values(found[0])).toEqual([1, -1, 1, 1, -1, 1]);
    expect(found[1]).toEqual(images[1]);
    expect(found[2]).toMatchObject({ unreadable: expect.stringContaining('has 4 channels, not 3') });
    expect(found[3]).toMatchObject({ unreadable: expect.stringContaining('is not PNG') });
    expect(found[4]).toMatchObject({ unreadable: expect.stringContaining('images of 5x3 give latents of 2x1') });
    expect(values(found[5])).toEqual([1, 1, 1, 1]);
    expect(values(found[6])).toEqual(values(found[0]));
  });

  test('but for those that the encoder makes infinite', async () => {
    const by = await openVaeEncoder(await writeModel(folder, 'infinite.onnx', pointing(Number.POSITIVE_INFINITY)));
    const found = await encoded([image(1)], 'mean', { by });
    await by.close();
    expect(found).toEqual([{ name: 'image 1', unreadable: 'the encoder gives latents that are not finite' }]);
  });
});

describe('a topic', () => {
  let log: Log;
  beforeEach(async () => {
    log = await openLog(`file:${await mkdtemp(join(folder, 'log-'))}`);
    await log.createTopic('latents');
  });
  afterEach(() => log.close());

  const fill = (named: Encoder | null) => {
    const source = sourceOf([image(1), image(2)]);
    const settings = { encoder, keeping: 'moments', named: named ?? NAMED, mirror: false } as const;
    return ingest(log, 'latents', named === null ? source : encodedSource(source, settings), {
      time: 0,
      encoder: named,
    });
  };

  test('holds latents that read back, with their encoder and who made them', async () => {
    await fill(NAMED);
    for await (const { value } of log.read('latents', { from: new Map([[0, 0]]), to: new Map([[0, 1]]) })) {
      const batch = decode('image-batch', value!);
      expect({ ...batch.encoder }).toEqual(NAMED);
      expect(batch).toMatchObject({ source: `test, moments of ${encoder.sha256.slice(0, 12)}`, labels: [0, 0] });
      const [first] = (await decodeImages(batch)) as Moments[];
      expect(first!.mean[0]).toBeCloseTo(unit(10), 5);
      expect(first!.std[1]).toBeCloseTo(Math.sqrt(Math.exp(Math.max(-30, 100 * unit(22)))), 5);
    }
  });

  test.each([
    [
      'of another encoder',
      { ...NAMED, sha256: 'f'.repeat(64) },
      /holds latents of the encoder e{64}.*; these are .*f{64}/,
    ],
    ['for another scale', { ...NAMED, scale: 2 }, /scale 0\.5; these are .*scale 2/],
    ['that are images', null, /holds latents .*; these are images/],
  ] as const)('takes none %s', async (_, named, message) => {
    await fill(NAMED);
    await fill(NAMED);
    await expect(fill(named)).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringMatching(message) });
    expect((await log.offsets('latents', 0)).end).toBe(2);
  });

  test('of images takes no latents', async () => {
    await fill(null);
    await expect(fill(NAMED)).rejects.toMatchObject({
      message: expect.stringMatching(/holds images; these are latents/),
    });
  });
});
