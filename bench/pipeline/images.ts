import { readFile, writeFile } from 'node:fs/promises';
import { loadSharp } from '../../src/codec/image-file.ts';
import type { Shape } from '../../src/codec/images.ts';
import type { ImageSource } from '../../src/ingest/source.ts';
import { bits, uniforms } from '../../src/random/philox.ts';

/** Of shape (a) of the train step. */
export const SHAPE: Shape = [32, 32, 3];
export const IMAGE_BYTES = SHAPE[0] * SHAPE[1] * SHAPE[2];
export const CLASSES = 10;

export type Encoding = 'RAW_U8' | 'PNG';

/**
 * Images that compress like photographs do: soft waves of colour, and a little noise. Written one behind the other to
 * `file`, labels modulo the classes, for the peers to make their own data set of.
 */
export async function writeImages(file: string, count: number): Promise<void> {
  const [height, width, channels] = SHAPE;
  const all = Buffer.alloc(count * IMAGE_BYTES);
  for (let image = 0; image < count; image++) {
    const waves = uniforms(0, 'bench/waves', image, 4 * channels);
    const noise = bits(0, 'bench/grain', image, IMAGE_BYTES / 4);
    const grain = new Uint8Array(noise.buffer, noise.byteOffset, IMAGE_BYTES);
    for (let c = 0, base = image * IMAGE_BYTES; c < channels; c++) {
      const [fx, fy, phase, level] = [0, 1, 2, 3].map((i) => waves[4 * c + i]!) as [number, number, number, number];
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const at = (y * width + x) * channels + c;
          const wave = Math.sin(6.28 * ((fx * x + fy * y) / width + phase));
          all[base + at] = 64 + 96 * level + 56 * wave + (grain[at]! & 7);
        }
    }
  }
  await writeFile(file, all);
}

/** The same images as a source to ingest, raw or as PNG files. */
export function imagesOf(file: string, encoding: Encoding, count: number): ImageSource {
  const [height, width, channels] = SHAPE;
  return {
    id: 'bench',
    classes: [],
    total: count,
    async *images() {
      const all = await readFile(file);
      const sharp = encoding === 'PNG' ? await loadSharp() : null;
      for (let i = 0; i < count; i++) {
        const pixels = all.subarray(i * IMAGE_BYTES, (i + 1) * IMAGE_BYTES);
        const raw = { width, height, channels: channels as 3 };
        const bytes = sharp === null ? pixels : await sharp(pixels, { raw }).png().toBuffer();
        yield { name: String(i), shape: SHAPE, encoding, bytes, label: i % CLASSES };
      }
    },
  };
}
