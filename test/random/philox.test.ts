import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bits, normals, permutation, philox4x32, philoxKey, uniforms } from '../../src/random/philox.ts';

/** Philox4x32-10 in 64-bit integers, straight from the paper's definition: the reference for the fast one. */
function reference(counter: number[], key: number[]): number[] {
  let c = counter.map(BigInt);
  let k = key.map(BigInt);
  const mask = 0xffff_ffffn;
  for (let round = 0; round < 10; round++) {
    const p0 = 0xd2511f53n * c[0]!;
    const p1 = 0xcd9e8d57n * c[2]!;
    c = [(p1 >> 32n) ^ c[1]! ^ k[0]!, p1 & mask, (p0 >> 32n) ^ c[3]! ^ k[1]!, p0 & mask];
    k = [(k[0]! + 0x9e3779b9n) & mask, (k[1]! + 0xbb67ae85n) & mask];
  }
  return c.map(Number);
}

describe('Philox4x32-10', () => {
  // Known answers of the authors' own library (Random123, kat_vectors: philox4x32 10).
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('gives the published answer for counter %j', (counter, key, answer) => {
    expect([...philox4x32(counter, key)]).toEqual(answer);
  });

  it('equals the definition in 64-bit integers for any counter and key', () => {
    const word = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 4, maxLength: 4 }),
        fc.array(word, { minLength: 2, maxLength: 2 }),
        (counter, key) => {
          expect([...philox4x32(counter, key)]).toEqual(reference(counter, key));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('streams', () => {
  it('are the same when read whole or from any word on', () => {
    const whole = bits(7, 'noise', 3, 101);
    for (const start of [0, 1, 2, 3, 4, 5, 50, 99, 100]) {
      expect(bits(7, 'noise', 3, 101 - start, start)).toEqual(whole.slice(start));
    }
  });

  it('differ by seed, purpose and step, and steps beyond 32 bits do not wrap', () => {
    const streams = [
      bits(1, 'a', 0, 8),
      bits(2, 'a', 0, 8),
      bits(1, 'b', 0, 8),
      bits(1, 'a', 1, 8),
      bits(1, 'a', 2 ** 32, 8),
      bits(-1, 'a', 0, 8),
    ];
    expect(new Set(streams.map(String)).size).toBe(streams.length);
    expect(philoxKey(1, 'a')).not.toBe(philoxKey(1, 'b'));
  });

  it('refuse a seed or step that is no safe integer', () => {
    expect(() => bits(0.5, 'a', 0, 1)).toThrow('seed');
    expect(() => bits(1, 'a', -1, 1)).toThrow('step');
    expect(() => bits(1, 'a', 2 ** 53, 1)).toThrow('step');
  });

  it('keep their numbers from release to release', () => {
    expect([...bits(1, 'noise', 0, 4)]).toMatchInlineSnapshot(`
      [
        1678091383,
        669617880,
        3415557577,
        3342293799,
      ]
    `);
    expect([...uniforms(1, 'noise', 5, 3)]).toMatchInlineSnapshot(`
      [
        0.4537162780761719,
        0.09445440769195557,
        0.5589319467544556,
      ]
    `);
    expect([...permutation(1, 'shuffle', 0, 8)]).toMatchInlineSnapshot(`
      [
        3,
        4,
        1,
        7,
        2,
        0,
        5,
        6,
      ]
    `);
  });
});

describe('uniforms', () => {
  it('lie in [0, 1) and have the mean and variance of a uniform', () => {
    const u = uniforms(3, 'u', 0, 100_000);
    const mean = u.reduce((a, b) => a + b, 0) / u.length;
    const variance = u.reduce((a, b) => a + (b - mean) ** 2, 0) / u.length;
    expect(u.every((x) => x >= 0 && x < 1)).toBe(true);
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.005);
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.002);
  });
});

describe('normals', () => {
  it('have the moments of a standard normal, are finite, and an odd count is a prefix of an even one', () => {
    const z = normals(3, 'z', 0, 100_000);
    const moment = (k: number) => z.reduce((a, b) => a + b ** k, 0) / z.length;
    expect(z.every(Number.isFinite)).toBe(true);
    expect(Math.abs(moment(1))).toBeLessThan(0.02);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.02);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.15);
    expect(normals(3, 'z', 0, 7)).toEqual(z.slice(0, 7));
  });
});

describe('permutation', () => {
  it('holds every index once, for any size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 1000 }), (n, number) => {
        expect([...permutation(11, 'p', number, n)].sort((a, b) => a - b)).toEqual(
          Array.from({ length: n }, (_, i) => i),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('gives every order of 4 about equally often (chi-squared, 23 degrees of freedom)', () => {
    const seen = new Map<string, number>();
    const draws = 24_000;
    for (let i = 0; i < draws; i++) {
      const order = permutation(5, 'p', i, 4).join('');
      seen.set(order, (seen.get(order) ?? 0) + 1);
    }
    const expected = draws / 24;
    const chi2 = [...seen.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(seen.size).toBe(24);
    expect(chi2).toBeLessThan(49.7); // p = 0.001
  });
});
