import { describe, expect, it } from 'vitest';
import { decodeMessage } from '../../src/codec/protobuf.ts';
import { sessionConfig } from '../../src/engine/native/config.ts';

const fields = (bytes: Uint8Array) => new Map(decodeMessage(bytes));
const inner = (bytes: Uint8Array, field: number) => fields(fields(bytes).get(field) as Uint8Array);
const text = (value: unknown) => new TextDecoder().decode(value as Uint8Array);

describe('the settings of a session', () => {
  it('on a GPU take memory as it is needed, of the first device alone', () => {
    const options = inner(sessionConfig({ threads: 2 }, 'gpu'), 6);
    expect(options.get(4)).toBe(1);
    expect(text(options.get(5))).toBe('0');
    expect(fields(sessionConfig({ threads: 2 }, 'gpu')).has(1)).toBe(false);
  });

  it('on the CPU allow no GPU, whatever build runs them', () => {
    const count = inner(sessionConfig({ threads: 2 }, 'cpu'), 1);
    expect([text(count.get(1)), count.get(2)]).toEqual(['GPU', 0]);
    expect(fields(sessionConfig({ threads: 2 }, 'cpu')).has(6)).toBe(false);
  });

  it('give an op one thread where there is one for each lane, all where there are more, and each lane one that begins its ops', () => {
    const poolsOf = (threads: number, lanes: number) =>
      [2, 5].map((field) => fields(sessionConfig({ threads, lanes })).get(field));
    expect(poolsOf(2, 2)).toEqual([1, 2]);
    expect(poolsOf(3, 2)).toEqual([3, 2]);
    expect(poolsOf(7, 3)).toEqual([7, 3]);
    expect(poolsOf(1, 1)).toEqual([1, 2]);
  });

  it.each(['cpu', 'gpu'] as const)('on the %s are otherwise the same', (device) => {
    expect([2, 5].map((field) => fields(sessionConfig({ threads: 3 }, device)).get(field))).toEqual([3, 2]);
    expect([...fields(inner(sessionConfig({ threads: 3 }, device), 10).get(10) as Uint8Array)]).toEqual([
      [4, 1],
      [20, -1],
    ]);
  });
});
