import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OnnxGraph } from '../../scripts/onnx/onnx-writer.ts';
import { openVaeEncoder, type Posterior } from '../../src/autoencoder/vae-encoder.ts';
import { DRAWING, OPEN_SAMPLE, POOLING, pointing, writeModel } from './models.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-encoder-'));
});
afterAll(() => rm(folder, { recursive: true }));

const SHAPE = [4, 6, 1] as const;

/** Five images that differ in every pixel. */
const IMAGES = Array.from({ length: 5 }, (_, n) => Uint8Array.from({ length: 24 }, (_, i) => (n * 51 + i * 7) % 256));

/** The mean of the 2 x 2 block at (y, x), in [-1, 1], worked out another way. */
function blockMean(image: Uint8Array, y: number, x: number): number {
  const at = (row: number, column: number) => (2 * image[row * 6 + column]!) / 255 - 1;
  return (at(2 * y, 2 * x) + at(2 * y, 2 * x + 1) + at(2 * y + 1, 2 * x) + at(2 * y + 1, 2 * x + 1)) / 4;
}

async function encoded(
  name: string,
  graph: OnnxGraph,
  images = IMAGES,
  shape: readonly [number, number, number] = SHAPE,
) {
  const encoder = await openVaeEncoder(await writeModel(folder, `${name}.onnx`, graph));
  try {
    return await encoder.encode(images, shape);
  } finally {
    await encoder.close();
  }
}

const refusal = async (name: string, graph: OnnxGraph, images = IMAGES, shape?: readonly [number, number, number]) =>
  encoded(name, graph, images, shape).then(
    () => 'none',
    (error: { code: string; message: string }) => `${error.code} ${error.message}`,
  );

function expectMeans(posteriors: readonly Posterior[]): void {
  expect(posteriors.length).toBe(IMAGES.length);
  for (const [n, { shape, mean }] of posteriors.entries()) {
    expect(shape).toEqual([2, 3, 1]);
    for (let y = 0; y < 2; y++)
      for (let x = 0; x < 3; x++) expect(mean[y * 3 + x]).toBeCloseTo(blockMean(IMAGES[n]!, y, x), 5);
  }
}

describe('an encoder', () => {
  test('gives mean and deviation of each image: latent_parameters, the log variance held between -30 and 20', async () => {
    const posteriors = await encoded('moments', POOLING);
    expectMeans(posteriors);
    const bounds = new Set<number>();
    for (const { mean, std } of posteriors)
      for (const [i, value] of std!.entries()) {
        const logVariance = Math.max(-30, Math.min(20, 100 * mean[i]!));
        bounds.add(logVariance);
        expect(value / Math.sqrt(Math.exp(logVariance))).toBeCloseTo(1, 3);
      }
    expect([...bounds]).toEqual(expect.arrayContaining([-30, 20]));
  });

  test('that gives points has no deviation', async () => {
    const posteriors = await encoded('points', pointing(1));
    expectMeans(posteriors);
    expect(posteriors.every(({ std }) => std === null)).toBe(true);
  });

  test('of a fixed batch, size or channels gives the same', async () => {
    const open = await encoded('open', pointing(1));
    for (const shape of [
      [2, 1, 4, 6],
      [8, 1, 4, 6],
      ['n', 1, 'h', 'w'],
    ] as const)
      expect(await encoded(`fixed-${shape.join('-')}`, pointing(1, { name: 'sample', shape }))).toEqual(open);
  });

  test('orders channels as images have them', async () => {
    const image = Uint8Array.from([10, 100, 10, 100, 30, 120, 30, 120].map((value) => value)); // 2 x 2 x 2
    const [posterior] = await encoded('channels', pointing(1), [image], [2, 2, 2]);
    expect(posterior!.shape).toEqual([1, 1, 2]);
    expect(posterior!.mean[0]).toBeCloseTo((2 * 20) / 255 - 1, 5);
    expect(posterior!.mean[1]).toBeCloseTo((2 * 110) / 255 - 1, 5);
  });
});

describe('refused by name is', () => {
  test('an encoder that draws by itself', async () => {
    expect(await refusal('drawing', DRAWING)).toMatch(/^CONFIG .*drawing\.onnx gives other latents .* each time/);
  });

  test('an encoder of several inputs, or of other outputs', async () => {
    const other = { ...POOLING, inputs: [OPEN_SAMPLE, { name: 'timestep', shape: [1] }] };
    expect(await refusal('two', other)).toMatch(
      /^CONFIG .*two\.onnx takes sample float32 .* and timestep float32 \[1\]/,
    );
    const renamed: OnnxGraph = {
      ...POOLING,
      outputs: [{ name: 'logvar', shape: ['n', 'c', 'h', 'w'] }],
    };
    expect(await refusal('renamed', renamed)).toMatch(
      /gives logvar .*; an encoder gives latent_parameters or latent_sample/,
    );
  });

  test('an encoder of other channels or sizes than the images have', async () => {
    const rgb = pointing(1, { name: 'sample', shape: ['n', 3, 'h', 'w'] });
    expect(await refusal('rgb', rgb)).toMatch(
      /takes sample float32 \[n, 3, h, w\].* the images are 4 x 6 with 1 channel$/,
    );
    const fixed = pointing(1, { name: 'sample', shape: ['n', 1, 8, 8] });
    expect(await refusal('fixed', fixed)).toMatch(/\[n, 1, 8, 8\].*4 x 6/);
    const last = pointing(1, { name: 'sample', shape: ['n', 4, 6, 1] });
    expect(await refusal('last', last)).toMatch(/\[n, 4, 6, 1\] \(N, C, H, W\); the images are 4 x 6 with 1 channel/);
  });

  test('an image that the encoder cuts', async () => {
    const odd = [new Uint8Array(5 * 6)];
    expect(await refusal('odd', pointing(1), odd, [5, 6, 1])).toMatch(/^BAD_RECORD images of 5x6 give latents of 2x3/);
  });
});
