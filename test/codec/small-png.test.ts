import { crc32, deflateSync } from 'node:zlib';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { decodeImageFile } from '../../src/codec/image-file.ts';
import { readSmallPng } from '../../src/codec/small-png.ts';

type Shape = [height: number, width: number, channels: number];

/** The W3C's own words for each filter, forwards: what a byte becomes, given its neighbours. */
const FILTERS = [
  (x: number) => x,
  (x: number, a: number) => x - a,
  (x: number, _: number, b: number) => x - b,
  (x: number, a: number, b: number) => x - Math.floor((a + b) / 2),
  (x: number, a: number, b: number, c: number) => {
    const p = a + b - c;
    const distances = [a, b, c].map((one) => Math.abs(p - one));
    return x - [a, b, c][distances.indexOf(Math.min(...distances))]!;
  },
];

const chunk = (type: string, data: Uint8Array): Buffer => {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(8 + named.length);
  frame.writeUInt32BE(data.length, 0);
  frame.set(named, 4);
  frame.writeUInt32BE(crc32(named), 4 + named.length);
  return frame;
};

interface Extras {
  readonly depth?: number;
  readonly colour?: number;
  readonly interlace?: number;
  readonly before?: readonly Buffer[];
  readonly cutAt?: number;
  readonly more?: Uint8Array;
}

/** A file whose rows have these filters. */
function pngOf(pixels: Uint8Array, [height, width, channels]: Shape, filters: readonly number[], extras: Extras = {}) {
  const row = width * channels;
  const rows = Buffer.alloc(height * (row + 1));
  const at = (y: number, x: number): number => (y < 0 || x < 0 ? 0 : pixels[y * row + x]!);
  for (let y = 0; y < height; y++) {
    const filter = filters[y % filters.length]!;
    rows[y * (row + 1)] = filter;
    for (let x = 0; x < row; x++) {
      const neighbours = [at(y, x - channels), at(y - 1, x), x < channels ? 0 : at(y - 1, x - channels)] as const;
      rows[y * (row + 1) + 1 + x] = FILTERS[filter]!(at(y, x), ...neighbours) & 255;
    }
  }
  const { depth = 8, colour = { 1: 0, 3: 2, 4: 6 }[channels]!, interlace = 0, before = [], cutAt = 0 } = extras;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlace], 8);
  const stream = deflateSync(Buffer.concat([rows, extras.more ?? Buffer.alloc(0)]));
  const parts = cutAt > 0 ? [stream.subarray(0, cutAt), stream.subarray(cutAt)] : [stream];
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  const data = parts.map((part) => chunk('IDAT', part));
  return Buffer.concat([signature, chunk('IHDR', header), ...before, ...data, chunk('IEND', Buffer.alloc(0))]);
}

const images = fc
  .record({
    height: fc.integer({ min: 1, max: 9 }),
    width: fc.integer({ min: 1, max: 9 }),
    channels: fc.constantFrom(1, 3, 4),
    filters: fc.array(fc.nat(4), { minLength: 1, maxLength: 9 }),
    seed: fc.nat(),
    cutAt: fc.nat(9),
  })
  .map(({ height, width, channels, seed, ...rest }) => {
    const bytes = height * width * channels;
    const pixels = Uint8Array.from({ length: bytes }, (_, i) => (Math.imul(i + seed, 2_654_435_761) >>> 13) & 255);
    return { pixels, shape: [height, width, channels] as Shape, ...rest };
  });

describe('small PNG files', () => {
  test('every filter gives back every pixel, in one piece or in several', () => {
    fc.assert(
      fc.property(images, ({ pixels, shape, filters, cutAt }) => {
        expect(readSmallPng(pngOf(pixels, shape, filters, { cutAt }), shape)).toEqual(pixels);
      }),
      { numRuns: 300 },
    );
  });

  test('are what libvips reads, whatever chunks that change no pixel they hold', async () => {
    const text = chunk('tEXt', Buffer.from('Title\0a test'));
    const gamma = chunk('gAMA', Buffer.from([0, 0, 0x80, 0]));
    const rgb = chunk('sRGB', Buffer.from([1]));
    await fc.assert(
      fc.asyncProperty(images, async ({ pixels, shape, filters }) => {
        const file = pngOf(pixels, shape, filters, { before: [gamma, rgb, text] });
        expect(readSmallPng(file, shape)).toEqual(await decodeImageFile(file, 'PNG', shape));
      }),
      { numRuns: 25 },
    );
  });

  test('of flipped bits and cuts none is read but as libvips reads it', async () => {
    const shape: Shape = [6, 5, 3];
    const pixels = Uint8Array.from({ length: 90 }, (_, i) => (i * 37) & 255);
    const whole = pngOf(pixels, shape, [0, 1, 2, 3, 4]);
    for (let at = 0; at < whole.length; at++) {
      for (const bit of [1, 16, 128]) {
        const damaged = Uint8Array.from(whole);
        damaged[at]! ^= bit;
        expect(readSmallPng(damaged, shape)).toBeNull();
      }
      expect(readSmallPng(whole.subarray(0, at), shape)).toBeNull();
    }
  });

  const shape: Shape = [2, 2, 3];
  const pixels = Uint8Array.from({ length: 12 }, (_, i) => i * 20);
  test.each([
    ['of another size', pngOf(pixels, [1, 4, 3], [0])],
    ['of other channels', pngOf(pixels, [3, 1, 4], [0])],
    ['with a palette', pngOf(pixels, shape, [0], { colour: 3 })],
    ['with 16 bits a channel', pngOf(pixels, shape, [0], { depth: 16 })],
    ['interlaced', pngOf(pixels, shape, [0], { interlace: 1 })],
    ['with transparency by colour', pngOf(pixels, shape, [0], { before: [chunk('tRNS', Buffer.alloc(6))] })],
    ['with a colour profile', pngOf(pixels, shape, [0], { before: [chunk('iCCP', Buffer.from('p\0\0'))] })],
    ['animated', pngOf(pixels, shape, [0], { before: [chunk('acTL', Buffer.alloc(8))] })],
    ['with too many rows', pngOf(pixels, shape, [0], { more: new Uint8Array(7) })],
    ['with too few rows', pngOf(pixels.subarray(0, 6), [1, 2, 3], [0])],
    ['followed by something', Buffer.concat([pngOf(pixels, shape, [0]), Buffer.from('more')])],
  ])('a file %s is left to libvips', (_, file) => {
    expect(readSmallPng(pngOf(pixels, shape, [0]), shape)).toEqual(pixels);
    expect(readSmallPng(file, shape)).toBeNull();
  });

  test('a large one is left to libvips', async () => {
    const file = await sharp(new Uint8Array(96 * 96 * 3), { raw: { height: 96, width: 96, channels: 3 } })
      .png()
      .toBuffer();
    expect(readSmallPng(file, [96, 96, 3])).toBeNull();
  });
});
