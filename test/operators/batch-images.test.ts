import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Shape } from '../../src/codec/images.ts';
import { unitPixels } from '../../src/codec/unit-pixels.ts';
import { BatchImages } from '../../src/operators/batch-images.ts';
import { mirror } from '../../src/operators/mirror.ts';

/** Some divide by four in width and have three channels: those are mirrored word by word. */
const shapes: fc.Arbitrary<Shape> = fc.tuple(
  fc.integer({ min: 1, max: 3 }),
  fc.oneof(fc.constantFrom(4, 8, 12, 20), fc.integer({ min: 1, max: 9 })),
  fc.oneof(fc.constant(3), fc.integer({ min: 1, max: 5 })),
);

/** Left to right, written down another way than the code under test. */
function mirrored(image: readonly number[], [height, width, channels]: Shape): number[] {
  const pixel = (y: number, x: number) => image.slice((y * width + x) * channels, (y * width + x + 1) * channels);
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => pixel(y, width - 1 - x)).flat(),
  ).flat();
}

test('an image is mirrored in its place, of bytes as of floats, and nothing beside it is touched', () => {
  const places = fc.record({ before: fc.nat(9), after: fc.nat(9), offset: fc.nat(5), floats: fc.boolean() });
  fc.assert(
    fc.property(shapes, places, fc.infiniteStream(fc.nat(255)), (shape, { before, after, offset, floats }, values) => {
      const size = shape[0] * shape[1] * shape[2];
      const numbers = [...values.take(before + size + after)];
      const array = floats
        ? new Float32Array(new ArrayBuffer(4 * (offset + numbers.length)), 4 * offset)
        : new Uint8Array(new ArrayBuffer(offset + numbers.length), offset);
      array.set(numbers);
      mirror(array, before, shape);
      const image = numbers.slice(before, before + size);
      expect([...array]).toEqual([
        ...numbers.slice(0, before),
        ...mirrored(image, shape),
        ...numbers.slice(before + size),
      ]);
    }),
    { numRuns: 500 },
  );
});

test('a batch is of bytes while all its images are pixels, and of the same values as floats from the first latent on', () => {
  const plans = shapes.chain((shape) => {
    const size = shape[0] * shape[1] * shape[2];
    const pixels = fc.uint8Array({ minLength: size, maxLength: size });
    const latent = fc.float32Array({ minLength: size, maxLength: size, noNaN: true, noDefaultInfinity: true });
    const image = fc.record({
      pixels: fc.oneof({ weight: 4, arbitrary: pixels }, { weight: 1, arbitrary: latent }),
      flipped: fc.boolean(),
    });
    return fc.record({ shape: fc.constant(shape), images: fc.array(image, { minLength: 1, maxLength: 6 }) });
  });
  fc.assert(
    fc.property(plans, fc.infiniteStream(fc.nat()), ({ shape, images }, order) => {
      const size = shape[0] * shape[1] * shape[2];
      const filled = new BatchImages(images.length, { shape, latentScale: 0.5, seed: 0 });
      const left = images.map((_, at) => at);
      while (left.length > 0) {
        const [at] = left.splice(order.next().value! % left.length, 1) as [number];
        filled.put(at, { ...images[at]!, ordinal: at });
      }
      const wanted = images.flatMap(({ pixels, flipped }) => {
        const values =
          pixels instanceof Uint8Array
            ? Array.from(pixels, (value) => Math.fround(value / 127.5 - 1))
            : Array.from(pixels, (value) => Math.fround(value * 0.5));
        return flipped ? mirrored(values, shape) : values;
      });
      expect(filled.images.length).toBe(images.length * size);
      expect(filled.images instanceof Uint8Array).toBe(images.every(({ pixels }) => pixels instanceof Uint8Array));
      expect([...unitPixels(filled.images)]).toEqual(wanted);
    }),
    { numRuns: 300 },
  );
});
