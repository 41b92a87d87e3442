import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { BadRecord } from '../../src/codec/bad-record.ts';
import { halvesToFloats } from '../../src/codec/half-float.ts';
import { type DecodedImages, decodeImages } from '../../src/codec/images.ts';
import { DEFAULT_LIMITS } from '../../src/codec/limits.ts';
import type { Encoding, ImageBatch } from '../../src/codec/records.ts';

const batch = (
  shape: number[],
  encoding: Encoding,
  images: Uint8Array[],
  labels: number[] | null = null,
): ImageBatch => ({
  shape,
  encoding,
  images,
  labels,
  eventTime: 0,
  source: '',
  encoder: null,
});

/** Pixels as arrays, bad images as their reason. */
const told = (images: DecodedImages) =>
  images.map((image) => (image instanceof BadRecord ? image.reason : [...(image as Uint8Array | Float32Array)]));

const reason = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => {
      if (error instanceof BadRecord) return error.reason;
      throw error;
    },
  );

const pixels = (channels: 1 | 3 | 4) =>
  fc
    .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }))
    .chain(([height, width]) =>
      fc
        .uint8Array({ minLength: height * width * channels, maxLength: height * width * channels })
        .map((data) => ({ data, shape: [height, width, channels] as [number, number, number] })),
    );

const file = (data: Uint8Array, [height, width, channels]: [number, number, number], format: 'png' | 'jpeg' | 'webp') =>
  sharp(data, { raw: { height, width, channels: channels as 1 | 3 | 4 } })
    .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    .toFormat(format, format === 'webp' ? { lossless: true, exact: true } : {})
    .toBuffer();

describe('decoded images', () => {
  test.each([1, 3, 4] as const)('PNG with %i channels gives back every pixel', async (channels) => {
    await fc.assert(
      fc.asyncProperty(pixels(channels), async ({ data, shape }) => {
        const images = [await file(data, shape, 'png')];
        expect(told(await decodeImages(batch(shape, 'PNG', images)))).toEqual([[...data]]);
      }),
      { numRuns: 40 },
    );
  });

  test.each([3, 4] as const)('lossless WebP with %i channels gives back every pixel', async (channels) => {
    await fc.assert(
      fc.asyncProperty(pixels(channels), async ({ data, shape }) => {
        // WebP stores an alpha channel only where something is not opaque.
        if (channels === 4) data[3] = 7;
        const images = [await file(data, shape, 'webp')];
        expect(told(await decodeImages(batch(shape, 'WEBP', images)))).toEqual([[...data]]);
      }),
      { numRuns: 25 },
    );
  });

  test('JPEG of one colour comes back within its loss, the same each time', async () => {
    const data = new Uint8Array(16 * 16 * 3).fill(100);
    const images = [await file(data, [16, 16, 3], 'jpeg')];
    const [once] = await decodeImages(batch([16, 16, 3], 'JPEG', images));
    const [again] = await decodeImages(batch([16, 16, 3], 'JPEG', images));
    expect(once).toEqual(again);
    expect(Math.max(...(once as Uint8Array).map((value) => Math.abs(value - 100)))).toBeLessThanOrEqual(2);
  });

  test('raw pixels are what they were', async () => {
    const images = [Uint8Array.of(1, 2, 3, 4), Uint8Array.of(9, 8, 7, 6)];
    expect(told(await decodeImages(batch([2, 2, 1], 'RAW_U8', images)))).toEqual(images.map((image) => [...image]));
  });

  test('float32 latents are exact, wherever their bytes lie', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 4, maxLength: 4 }),
        fc.nat(3),
        async (values, offset) => {
          const bytes = new Uint8Array(16 + offset);
          const view = new DataView(bytes.buffer, offset);
          for (const [i, value] of values.entries()) view.setFloat32(4 * i, value, true);
          const [latent] = await decodeImages(batch([2, 1, 2], 'LATENT_F32', [bytes.subarray(offset)]));
          expect(latent).toEqual(Float32Array.from(values));
        },
      ),
    );
  });

  test('grey becomes RGB and RGBA where the record says so, palettes and CMYK become RGB', async () => {
    const grey = [await file(Uint8Array.of(10, 20), [1, 2, 1], 'png')];
    expect(told(await decodeImages(batch([1, 2, 3], 'PNG', grey)))).toEqual([[10, 10, 10, 20, 20, 20]]);
    expect(told(await decodeImages(batch([1, 2, 4], 'PNG', grey)))).toEqual([[10, 10, 10, 255, 20, 20, 20, 255]]);
    const colours = Uint8Array.of(255, 0, 0, 0, 0, 255);
    const palette = await sharp(colours, { raw: { height: 1, width: 2, channels: 3 } })
      .png({ palette: true })
      .toBuffer();
    expect(told(await decodeImages(batch([1, 2, 3], 'PNG', [palette])))).toEqual([[...colours]]);
    const cmyk = await sharp(new Uint8Array(64 * 3).fill(255), { raw: { height: 8, width: 8, channels: 3 } })
      .toColourspace('cmyk')
      .jpeg()
      .toBuffer();
    const [white] = await decodeImages(batch([8, 8, 3], 'JPEG', [cmyk]));
    expect(Math.min(...(white as Uint8Array))).toBeGreaterThan(245);
  });

  test('an orientation tag turns nothing', async () => {
    const data = Uint8Array.from({ length: 6 * 3 }, (_, i) => i * 10);
    const turned = await sharp(data, { raw: { height: 2, width: 3, channels: 3 } })
      .png()
      .withMetadata({ orientation: 6 })
      .toBuffer();
    expect((await sharp(turned).metadata()).orientation).toBe(6);
    expect(told(await decodeImages(batch([2, 3, 3], 'PNG', [turned])))).toEqual([[...data]]);
  });
});

describe('half floats', () => {
  test('every finite half is the float of the same value', () => {
    const bits = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
    const floats = halvesToFloats(new Uint8Array(bits.buffer));
    // IEEE 754 binary16, read out of the same bits widened: a half's exponent is 112 below a float32's.
    const widened = new DataView(new ArrayBuffer(4));
    for (let half = 0; half < 0x10000; half++) {
      const exponent = (half >> 10) & 31;
      if (exponent === 31) continue;
      widened.setUint32(0, (((half & 0x8000) << 16) | ((half & 0x7fff) << 13)) >>> 0);
      expect(Object.is(floats[half], widened.getFloat32(0) * 2 ** 112)).toBe(true);
    }
    expect(floats[0x7c00]).toBe(Number.POSITIVE_INFINITY);
    expect(floats[0xfc00]).toBe(Number.NEGATIVE_INFINITY);
    expect(floats[0x7e00]).toBeNaN();
    expect([floats[0x3c00], floats[0x7bff], floats[1]]).toEqual([1, 65504, 2 ** -24]);
  });
});

describe('bad images', () => {
  test('one bad image is named by its place; the others stay', async () => {
    const good = await file(new Uint8Array(12).fill(5), [2, 2, 3], 'png');
    const large = await file(new Uint8Array(27), [3, 3, 3], 'png');
    const alpha = await file(new Uint8Array(16), [2, 2, 4], 'png');
    const jpeg = await file(new Uint8Array(12), [2, 2, 3], 'jpeg');
    const images = [good, large, alpha, jpeg, good.subarray(0, 50), new Uint8Array(), good];
    expect(told(await decodeImages(batch([2, 2, 3], 'PNG', images)))).toEqual([
      Array(12).fill(5),
      'shape',
      'shape',
      'image',
      'image',
      'image',
      Array(12).fill(5),
    ]);
  });

  test('an SVG under a PNG name is never opened', async () => {
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="2" height="2"/>');
    expect(told(await decodeImages(batch([2, 2, 3], 'PNG', [svg])))).toEqual(['image']);
  });

  test('16 bits a channel and animations are refused, not squeezed', async () => {
    const deep = await sharp(new Uint8Array(12), { raw: { height: 2, width: 2, channels: 3 } })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    expect(told(await decodeImages(batch([2, 2, 3], 'PNG', [deep])))).toEqual(['image']);
    const frames = Uint8Array.from({ length: 2 * 2 * 2 * 3 }, (_, i) => i * 9);
    const moving = await sharp(frames, { raw: { height: 4, width: 2, channels: 3, pageHeight: 2 } })
      .webp()
      .toBuffer();
    expect((await sharp(moving).metadata()).pages).toBe(2);
    expect(told(await decodeImages(batch([2, 2, 3], 'WEBP', [moving])))).toEqual(['image']);
  });

  test('a file that claims a huge size is refused by its header, without the memory', async () => {
    const bomb = await sharp({ create: { width: 12_000, height: 12_000, channels: 3, background: 'red' } })
      .png({ compressionLevel: 9 })
      .toBuffer();
    expect(bomb.length).toBeLessThan(2_000_000);
    const before = process.memoryUsage().rss;
    const started = performance.now();
    expect(told(await decodeImages(batch([64, 64, 3], 'PNG', Array(50).fill(bomb))))).toEqual(Array(50).fill('shape'));
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20); // one decoded image takes 432 MB
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('a latent with %s is bad, as f32 and as f16', async (value) => {
    const f32 = new Uint8Array(Float32Array.of(0, value).buffer);
    const f16 = Uint8Array.of(0, 0, 0, Number.isNaN(value) ? 0x7e : 0x7c);
    expect(told(await decodeImages(batch([1, 1, 2], 'LATENT_F32', [f32])))).toEqual(['non_finite']);
    expect(told(await decodeImages(batch([1, 1, 2], 'LATENT_F16', [f16])))).toEqual(['non_finite']);
  });

  test('bytes that do not fill the shape are bad', async () => {
    for (const encoding of ['RAW_U8', 'LATENT_F32', 'LATENT_F16'] as const) {
      expect(told(await decodeImages(batch([2, 2, 1], encoding, [new Uint8Array(5)])))).toEqual(['length']);
    }
  });

  test('flipped bits and cuts in image files give pixels of the right size or a bad image, nothing else', async () => {
    const data = Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => (i * 37) & 255);
    const files = {
      PNG: await file(data, [8, 8, 3], 'png'),
      JPEG: await file(data, [8, 8, 3], 'jpeg'),
      WEBP: await file(data, [8, 8, 3], 'webp'),
    };
    const damage = fc.record({
      encoding: fc.constantFrom('PNG', 'JPEG', 'WEBP'),
      cut: fc.option(fc.nat()),
      flips: fc.array(fc.nat(), { maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ encoding, cut, flips }) => {
        const whole = files[encoding];
        const bytes = Uint8Array.from(whole.subarray(0, cut === null ? whole.length : cut % whole.length));
        for (const flip of flips) if (bytes.length > 0) bytes[(flip >> 3) % bytes.length]! ^= 1 << (flip & 7);
        const [image] = await decodeImages(batch([8, 8, 3], encoding, [bytes]));
        if (!(image instanceof BadRecord)) expect(image).toHaveLength(192);
        if (bytes.length < whole.length / 2) expect(image).toBeInstanceOf(BadRecord);
      }),
      { numRuns: 300 },
    );
  });
});

describe('limits', () => {
  const one = [new Uint8Array(4)];
  test.each([
    ['no image', batch([2, 2, 1], 'RAW_U8', []), 'count'],
    ['too many images', batch([1, 1, 1], 'RAW_U8', Array(4097).fill(new Uint8Array(1))), 'count'],
    ['two dimensions', batch([2, 2], 'RAW_U8', one), 'dimensions'],
    ['a side of zero', batch([0, 2, 1], 'RAW_U8', one), 'dimensions'],
    ['a negative side', batch([-2, -2, 1], 'RAW_U8', one), 'dimensions'],
    ['a side beyond the limit', batch([4097, 1, 1], 'RAW_U8', one), 'dimensions'],
    ['two channels of pixels', batch([1, 2, 2], 'RAW_U8', one), 'dimensions'],
    ['65 channels of a latent', batch([1, 1, 65], 'LATENT_F32', one), 'dimensions'],
    ['more decoded bytes than the limit', batch([4096, 4096, 4], 'PNG', Array(5).fill(new Uint8Array(1))), 'too_large'],
    ['fewer labels than images', batch([2, 2, 1], 'RAW_U8', one, []), 'labels'],
  ])('%s is refused before anything is decoded', async (_, record, word) => {
    expect(await reason(decodeImages(record))).toBe(word);
  });

  test('limits are settings', async () => {
    const record = batch([2, 2, 1], 'RAW_U8', one);
    expect(await reason(decodeImages(record, { ...DEFAULT_LIMITS, side: 1 }))).toBe('dimensions');
    expect(await reason(decodeImages(record, { ...DEFAULT_LIMITS, decodedBytes: 3 }))).toBe('too_large');
  });
});
