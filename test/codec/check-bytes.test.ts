import avro from 'avsc';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkBytes } from '../../src/codec/check-bytes.ts';
import { parseSchema } from '../../src/codec/schema-node.ts';

const check = (schema: unknown, bytes: ArrayLike<number>) => () =>
  checkBytes(parseSchema(schema), Uint8Array.from(bytes));

/** Zig-zag varint of any integer. */
function long(value: bigint): number[] {
  let zigzag = value >= 0n ? value * 2n : -value * 2n - 1n;
  const bytes: number[] = [];
  for (; zigzag > 127n; zigzag >>= 7n) bytes.push(Number(zigzag & 127n) | 128);
  return [...bytes, Number(zigzag)];
}

const LIST = { type: 'record', name: 'L', fields: [{ name: 'next', type: ['null', 'L'] }] };

describe('the check of Avro bytes', () => {
  const everything = {
    type: 'record',
    name: 'R',
    fields: [
      { name: 'a', type: { type: 'array', items: ['null', 'string', 'double'] } },
      { name: 'm', type: { type: 'map', values: { type: 'fixed', name: 'F', size: 3 } } },
      { name: 'e', type: { type: 'enum', name: 'E', symbols: ['X', 'Y'] } },
      { name: 'b', type: ['bytes', 'boolean', 'float'] },
      { name: 'i', type: 'int' },
      { name: 'l', type: 'long' },
      { name: 'again', type: ['null', 'F', 'R'] },
    ],
  };

  test('passes what an independent encoder wrote, and nothing that is one byte shorter or longer', () => {
    const type = avro.Type.forSchema(everything as avro.Schema, { wrapUnions: 'always' });
    fc.assert(
      fc.property(
        fc.array(
          fc.option(
            fc.oneof(
              fc.string().map((string) => ({ string })),
              fc.double().map((double) => ({ double })),
            ),
          ),
        ),
        fc.integer(),
        fc.integer({ min: -(2 ** 51), max: 2 ** 51 }),
        (a, i, l) => {
          const leaf = {
            a,
            m: { k: Buffer.alloc(3) },
            e: 'Y',
            b: { boolean: true },
            i,
            l,
            again: { F: Buffer.alloc(3) },
          };
          const bytes = type.toBuffer({ ...leaf, again: { R: leaf } });
          expect(check(everything, bytes)).not.toThrow();
          expect(check(everything, bytes.subarray(0, -1))).toThrow('end too early');
          expect(check(everything, [...bytes, 0])).toThrow('1 bytes follow');
        },
      ),
      { numRuns: 50 },
    );
  });

  test('holds longs to safe integers and ints to 32 bits, to the last one', () => {
    const most = 2n ** 53n - 1n;
    for (const value of [0n, most, -most]) expect(check('long', long(value))).not.toThrow();
    for (const value of [most + 1n, -most - 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
      expect(check('long', long(value))).toThrow('2^53');
    }
    for (const value of [2n ** 31n - 1n, -(2n ** 31n)]) expect(check('int', long(value))).not.toThrow();
    for (const value of [2n ** 31n, -(2n ** 31n) - 1n]) expect(check('int', long(value))).toThrow('32 bits');
  });

  test.each([
    ['a varint without an end', 'long', Array(11).fill(0x80), '10 bytes'],
    ['a negative length', 'bytes', long(-1n), 'negative'],
    ['a length beyond the bytes', 'string', long(2n ** 40n), 'end too early'],
    ['a boolean of 2', 'boolean', [2], 'neither'],
    ['a union branch that is not there', ['null', 'int'], long(2n), 'branch'],
    ['a negative union branch', ['null', 'int'], long(-1n), 'branch'],
    ['an enum symbol that is not there', { type: 'enum', name: 'E', symbols: ['A'] }, long(1n), 'symbol'],
    ['2^40 items that take no bytes', { type: 'array', items: 'null' }, [...long(2n ** 40n), 0], 'without bytes'],
    [
      '2^40 items in a block that states its size',
      { type: 'array', items: 'null' },
      [...long(-(2n ** 40n)), 0, 0],
      'without',
    ],
    ['a value that nests without end', LIST, Array(1000).fill(2), 'deeper'],
  ])('stops at %s', (_, schema, bytes, message) => {
    const started = performance.now();
    expect(check(schema, bytes)).toThrow(message);
    expect(performance.now() - started).toBeLessThan(100);
  });
});
