import { describe, expect, it } from 'vitest';
import { sumOfSquares } from '../../src/engine/sum-of-squares.ts';
import { float, gaussian, OPEN, runOnce } from './engines.ts';

const squares = (values: Iterable<number>): number => Array.from(values).reduce((sum, value) => sum + value * value, 0);

describe.each(Object.keys(OPEN) as (keyof typeof OPEN)[])('a sum of squares on %s', (name) => {
  it.each([
    ['a vector', gaussian('x', [20_001])],
    ['a matrix', gaussian('x', [7, 11])],
    ['small and large', float([3], [1e-15, -2e15, 3])],
    ['zeros', float([5], [0, 0, 0, 0, 0])],
  ])('of %s is the float64 one', async (_, x) => {
    const { sum } = await runOnce(await OPEN[name](), { x }, (inputs) => ({ sum: sumOfSquares(inputs['x']!) }));
    const expected = squares(x.data);
    expect(sum!.shape).toEqual([]);
    expect(Math.abs(sum!.data[0]! - expected)).toBeLessThanOrEqual(1e-5 * expected);
  });
});

it('on native keeps its digits over millions of values', async () => {
  const x = gaussian('x', [3_000_001]);
  const { sum } = await runOnce(await OPEN.native(), { x }, (inputs) => ({ sum: sumOfSquares(inputs['x']!) }));
  expect(Math.abs(sum!.data[0]! / squares(x.data) - 1)).toBeLessThan(1e-6);
});
