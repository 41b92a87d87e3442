import { expect, test } from 'vitest';
import { goal } from '../../bench/benchmark.ts';
import { spread } from '../../bench/spread.ts';
import { formatTable, short } from '../../bench/table.ts';
import { inTurns, ratios } from '../../bench/turns.ts';

test('every round runs each way once, and each round begins with another', async () => {
  const order: string[] = [];
  const way = (name: string, seconds: number) => async () => {
    order.push(name);
    return seconds + order.length;
  };
  const measured = await inTurns(3, { a: way('a', 10), b: way('b', 20) });
  expect(order).toEqual(['a', 'b', 'b', 'a', 'a', 'b']);
  expect(measured).toEqual({ a: [11, 14, 15], b: [22, 23, 26] });
  expect(ratios(measured.b, measured.a)).toEqual({ median: 26 / 15, min: 23 / 14, max: 2, samples: 3 });
});

test('a spread is the median and what it lies between', () => {
  expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, samples: 3 });
  expect(spread([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4, samples: 4 });
  expect(() => spread([])).toThrow('no samples');
});

test('a goal is met at its bound, and by no value that is none', () => {
  expect(goal(2, '<=', 2)).toEqual({ value: 2, goal: '<= 2', met: true });
  expect(goal(2.01, '<=', 2).met).toBe(false);
  expect(goal(1.15, '>=', 1.15).met).toBe(true);
  expect(goal(1.1, '>=', 1.15).met).toBe(false);
  expect(goal(Number.NaN, '<=', 2).met).toBe(false);
  expect(goal(Number.NEGATIVE_INFINITY, '<=', 2).met).toBe(false);
});

test('a table lines its columns up', () => {
  const table = {
    title: 'T',
    columns: ['name', 'x'],
    rows: [
      ['long name', 1234.5],
      ['n', 0.012345],
    ] as const,
  };
  expect(formatTable(table)).toBe('T\n  name            x\n  long name   1,235\n  n          0.0123');
  expect(short(Number.NaN)).toBe('NaN');
});
