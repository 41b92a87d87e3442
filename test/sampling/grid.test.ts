import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { gridRaster, writeGrid } from '../../src/sampling/grid.ts';

test('images stand row by row, two white pixels apart and around', () => {
  // Three images of 1 x 2 in two columns; the fourth place stays white.
  const images = Float32Array.of(-1, 0, 1, -1, 0.5, -0.5);
  const { width, height, channels, data } = gridRaster(images, { shape: [1, 2, 1], columns: 2 });
  expect({ width, height, channels }).toEqual({ width: 10, height: 8, channels: 1 });
  const rows = Array.from({ length: height }, (_, y) => [...data.subarray(y * width, (y + 1) * width)]);
  const white = Array<number>(10).fill(255);
  expect(rows).toEqual([
    white,
    white,
    [255, 255, 0, 128, 255, 255, 255, 0, 255, 255],
    white,
    white,
    [255, 255, 191, 64, 255, 255, 255, 255, 255, 255],
    white,
    white,
  ]);
});

test('colours keep their channels; what is out of range is cut, not wrapped', () => {
  const images = Float32Array.of(-1, 0, 1, -7, 9, 0);
  const { data, width, channels } = gridRaster(images, { shape: [1, 1, 3], columns: 2 });
  expect(channels).toBe(3);
  const at = (x: number) => [...data.subarray((2 * width + x) * 3, (2 * width + x + 1) * 3)];
  expect([at(2), at(5)]).toEqual([
    [0, 128, 255],
    [0, 255, 128],
  ]);
});

test('a PNG has each pixel as a square, so that an image is about 64 high', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'repulsor-grid-'));
  const file = join(folder, 'grid.png');
  const images = Float32Array.from({ length: 2 * 28 * 28 }, (_, i) => (i % 2) * 2 - 1);
  await writeGrid(file, images, { shape: [28, 28, 1], columns: 2 });
  const { data, info } = await sharp(file).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
  expect(info).toMatchObject({ width: 2 * 62, height: 2 * 32, channels: 1 });
  const { data: raster, width } = gridRaster(images, { shape: [28, 28, 1], columns: 2 });
  for (let y = 0; y < info.height; y++) {
    for (let x = 0; x < info.width; x++) {
      if (data[y * info.width + x] !== raster[(y >> 1) * width + (x >> 1)]) expect.fail(`pixel ${x}, ${y}`);
    }
  }
  await rm(folder, { recursive: true });
});

test('latents, which have four channels, are no picture', () => {
  expect(() => gridRaster(new Float32Array(16), { shape: [2, 2, 4], columns: 1 })).toThrow(
    /4 channels cannot be shown/,
  );
});
