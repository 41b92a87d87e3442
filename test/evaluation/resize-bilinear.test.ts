import { expect, test } from 'vitest';
import { resizeBilinear } from '../../src/evaluation/resize-bilinear.ts';

/** Squares of 0 to 11, as 3 x 4 pixels of one channel. */
const IMAGE = Float32Array.from({ length: 12 }, (_, i) => i * i);

test('a larger and a smaller image are those of PyTorch (make_resize.py)', () => {
  const larger = [
    [0, 0.5, 1.5, 3.5, 6.5, 9],
    [6.4, 8.5, 11.6333, 15.7667, 20.9, 25],
    [16, 20.5, 26.8333, 34.1667, 42.5, 49],
    [44.8, 51.7, 61.2333, 71.7667, 83.3, 92.2],
    [64, 72.5, 84.1667, 96.8333, 110.5, 121],
  ].flat();
  const smaller = [4.5, 9.5, 17.8333, 54.5, 75.5, 99.8333];
  for (const [size, expected] of [
    [[5, 6], larger],
    [[2, 3], smaller],
  ] as const) {
    const found = resizeBilinear(IMAGE, [3, 4, 1], size);
    expect(found.length).toBe(expected.length);
    for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, 4);
  }
});

test('channels and images do not mix, and the same size is the same image', () => {
  const two = Float32Array.from([...IMAGE].flatMap((value) => [value, -value]));
  const both = resizeBilinear(Float32Array.from([...two, ...two]), [3, 4, 2], [5, 6]);
  const one = resizeBilinear(IMAGE, [3, 4, 1], [5, 6]);
  for (const from of [0, 60]) {
    expect(both.subarray(from, from + 60).filter((_, i) => i % 2 === 0)).toEqual(one);
    expect(both.subarray(from, from + 60).filter((_, i) => i % 2 === 1)).toEqual(one.map((value) => -value));
  }
  expect(resizeBilinear(IMAGE, [3, 4, 1], [3, 4])).toBe(IMAGE);
});
