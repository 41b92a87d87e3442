import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEngine } from '../../src/engine/choose.ts';
import { digestImages } from '../../src/evaluation/digest-images.ts';
import type { ImageChunk, ImageSet } from '../../src/evaluation/image-set.ts';
import { runImages } from '../../src/evaluation/run-images.ts';
import { sourceImages } from '../../src/evaluation/source-images.ts';
import { topicImages } from '../../src/evaluation/topic-images.ts';
import { imageFolder } from '../../src/ingest/image-folder.ts';
import { ingest } from '../../src/ingest/ingest.ts';
import type { SourceImage, UnreadableImage } from '../../src/ingest/source.ts';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import { initialParameters } from '../../src/model/parameters.ts';
import { normals } from '../../src/random/philox.ts';
import { sample } from '../../src/sampling/sampler.ts';
import { trainLayout } from '../../src/trainer/train-state.ts';
import { addBadRecords, fillTopic, someDigits, TOPIC, tinyPipeline } from '../trainer/tiny-run.ts';

let folder: string;
let log: Log;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-images-'));
  log = await openLog(`file:${join(folder, 'log')}`);
  await fillTopic(log);
  await addBadRecords(log);
});
afterAll(async () => {
  await log.close();
  await rm(folder, { recursive: true, force: true });
});

async function all(set: ImageSet): Promise<ImageChunk> {
  const chunks: ImageChunk[] = [];
  for await (const chunk of set.chunks()) chunks.push(chunk);
  return {
    images: Float32Array.from(chunks.flatMap(({ images }) => [...images])),
    labels: Int32Array.from(chunks.flatMap(({ labels }) => [...labels])),
  };
}

test('a topic gives every usable image once, in one order, and tells how many were none', async () => {
  const warnings: string[] = [];
  const settings = {
    shape: [28, 28, 1],
    classes: 10,
    latentScale: 1,
    seed: 0,
    onWarning: (line: string) => warnings.push(line),
  } as const;
  const set = await topicImages(log, TOPIC, settings);
  const { images, labels } = await all(set);
  expect(labels).toHaveLength(201); // 200 digits, and the good one of a record that is half bad
  expect(images.every((value) => value >= -1 && value <= 1)).toBe(true);
  expect(warnings).toEqual([expect.stringMatching(/^2 records or images of images were passed over; the first: /)]);
  expect(await all(set)).toEqual({ images, labels });
  const few = await all(await topicImages(log, TOPIC, { ...settings, limit: 30 }));
  expect(few).toEqual({ images: images.slice(0, 30 * 784), labels: labels.slice(0, 30) });
  await expect(all(await topicImages(log, TOPIC, { ...settings, shape: [4, 4, 1] }))).rejects.toThrow(
    /no image .* is usable/,
  );
});

test('the digest is of images and labels alone: the same from wherever they come, another when one changes', async () => {
  const read: (SourceImage | UnreadableImage)[] = [];
  for await (const image of someDigits(31).images()) read.push(image);
  const first = (n: number) => ({
    ...someDigits(n),
    images: async function* () {
      yield* read.slice(0, n);
    },
  });
  const thirty = await sourceImages(first(30));
  const url = `file:${join(folder, 'other-log')}`;
  const other = await openLog(url);
  await other.createTopic('thirty');
  await ingest(other, 'thirty', first(30), { batch: 7, time: 5 });
  const topic = await topicImages(other, 'thirty', { shape: [28, 28, 1], classes: 10, latentScale: 1, seed: 0 });
  const digest = await digestImages(thirty);
  expect(await digestImages(thirty)).toBe(digest);
  expect(await digestImages(topic)).toBe(digest);
  expect(await digestImages(await sourceImages(first(31)))).not.toBe(digest);
  await other.close();
});

test('a folder is brought to the size that is asked for; one that mixes sizes without it is refused', async () => {
  const pictures = join(folder, 'pictures');
  for (const [name, size] of [
    ['cat', 40],
    ['dog', 60],
  ] as const) {
    await mkdir(join(pictures, name), { recursive: true });
    const image = sharp({ create: { width: size, height: size, channels: 3, background: 'red' } });
    await writeFile(join(pictures, name, 'a.png'), await image.png().toBuffer());
  }
  const set = await sourceImages(await imageFolder(pictures, { size: { height: 8, width: 8, channels: 3 } }));
  const { images, labels } = await all(set);
  expect([...labels].sort()).toEqual([0, 1]);
  expect([...images.subarray(0, 3)]).toEqual([1, -1, -1]);
  await expect(all(await sourceImages(await imageFolder(pictures)))).rejects.toThrow(/cannot be used: is \d+x\d+, not/);
});

test('a run’s images are those that `sample` draws one by one, whatever the pieces they are drawn in', async () => {
  const { engine } = await openEngine({ name: 'cpu' });
  const base = tinyPipeline();
  const pipeline = { ...base, sampling: { ...base.sampling, steps: 2, solver: 'euler-maruyama' as const } };
  const layout = trainLayout(pipeline);
  const noise = normals(2, 'weights', 0, layout.size);
  const data = initialParameters(layout, 1).map((value, i) => value + 0.1 * noise[i]!);
  const parameters = { shape: [layout.size], dtype: 'float32', data } as const;
  const { images, labels } = await all(
    runImages(engine, pipeline, parameters, { samples: 7, labels: [3, 1], seed: 5 }),
  );
  expect([...labels]).toEqual([3, 1, 3, 1, 3, 1, 3]);
  const { model, transport, sampling } = pipeline;
  const later = { model, transport, sampling, layout, parameters, seed: 5, first: 5, labels: [1, 3] };
  const { images: last } = await sample(engine, later);
  const apart = last.map((value, i) => Math.abs(value - images[5 * 784 + i]!));
  expect(Math.max(...apart)).toBeLessThan(1e-5);
  engine.dispose();
});
