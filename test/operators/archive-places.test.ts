import fc from 'fast-check';
import { expect, test } from 'vitest';
import { archivePlaces, lengthOf } from '../../src/operators/archive-places.ts';

const ranges = fc
  .array(fc.record({ begin: fc.nat(50), length: fc.integer({ min: 1, max: 60 }) }), { minLength: 1, maxLength: 4 })
  .map((parts) =>
    parts.map(({ begin, length }, partition) => ({ topic: 'images', partition, begin, end: begin + length })),
  );

test('the places cover every offset of the ranges exactly once, each a stretch of equal length', () => {
  fc.assert(
    fc.property(ranges, fc.integer({ min: 1, max: 40 }), fc.nat(), fc.nat(), (of, wanted, seed, number) => {
      const length = lengthOf(of);
      const count = Math.min(wanted, length);
      const places = archivePlaces(seed, number, of, count);
      const offsets = (spans: (typeof places)[number]) =>
        spans.flatMap(({ partition, from, to }) =>
          Array.from({ length: to - from }, (_, i) => `${partition}/${from + i}`),
        );
      const all = of.flatMap(({ partition, begin, end }) =>
        Array.from({ length: end - begin }, (_, i) => `${partition}/${begin + i}`),
      );
      expect(places.flatMap(offsets).sort()).toEqual([...all].sort());
      for (const spans of places) expect(Math.abs(offsets(spans).length - length / count)).toBeLessThan(1);
      expect(archivePlaces(seed, number, of, count)).toEqual(places);
    }),
  );
});

test('any offset of a stretch may come first, each as often, in ranges of more offsets than 32 bits count', () => {
  const far = [{ topic: 'images', partition: 0, begin: 0, end: 2 ** 40 }];
  const firsts = Array.from(
    { length: 400 },
    (_, number) => archivePlaces(7, number, far, 2)[1]![0]!.from / 2 ** 39 - 1,
  );
  const tenths = Array.from({ length: 10 }, (_, i) => firsts.filter((first) => Math.floor(first * 10) === i).length);
  // 40 each, give or take 6: none strays by 4 deviations.
  for (const count of tenths) expect(Math.abs(count - 40)).toBeLessThan(24);
  expect(new Set(firsts).size).toBe(400);
});
