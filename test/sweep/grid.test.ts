import { describe, expect, test } from 'vitest';
import { gridRuns, parseGrid, shortNames } from '../../src/sweep/grid.ts';

const QUEUE = 'losses.repulsion.queue';

describe('what a sweep varies', () => {
  test('is every setting with several values; one with a single value is set in all runs', () => {
    expect(parseGrid([`${QUEUE}=0,1024`, 'optimizer.learningRate=1e-3', 'sampling.solver=heun, euler'])).toEqual({
      axes: [
        { path: QUEUE, values: ['0', '1024'] },
        { path: 'sampling.solver', values: ['heun', 'euler'] },
      ],
      fixed: ['optimizer.learningRate=1e-3'],
    });
  });

  test('commas in brackets, braces and quotes are part of a value', () => {
    const { axes, fixed } = parseGrid(['a=1,[1,[2,3]],{"x":1,"y":[2]}', 'b="p,q",r', 'c=[28,28,1]', 'd="a\\",b"']);
    expect(axes.map(({ values }) => values)).toEqual([
      ['1', '[1,[2,3]]', '{"x":1,"y":[2]}'],
      ['"p,q"', 'r'],
    ]);
    expect(fixed).toEqual(['c=[28,28,1]', 'd="a\\",b"']);
  });

  test.each([
    ['a', 'is not PATH=VALUE'],
    ['=1,2', 'is not PATH=VALUE'],
    ['a=', 'is not PATH=VALUE'],
    ['a=1,,2', 'is not PATH=VALUE'],
    ['a=1,2,1', 'names a value twice'],
    ['seed=1,2', 'counted by --seeds'],
  ])('%s is refused', (text, message) => {
    expect(() => parseGrid([text])).toThrow(message);
  });

  test('a setting varied twice is refused', () => {
    expect(() => parseGrid(['a=1,2', 'a=3'])).toThrow('given twice');
  });
});

describe('the runs', () => {
  const grid = parseGrid([`${QUEUE}=0,64`, 'losses.repulsion.block=1,[1,2]', 'steps=9']);

  test('are every combination with every seed, each with a folder of its own', () => {
    const runs = gridRuns(grid, 5, 3);
    expect(runs).toHaveLength(12);
    expect(new Set(runs.map(({ name }) => name)).size).toBe(12);
    for (const { name } of runs) expect(name).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);
    expect(runs.map(({ values, seed }) => `${values} ${seed}`)).toEqual(
      ['0,1', '0,[1,2]', '64,1', '64,[1,2]'].flatMap((values) => [5, 6, 7].map((seed) => `${values} ${seed}`)),
    );
    expect(runs[4]).toEqual({
      name: 'queue-0_block-1-2_seed-6',
      values: ['0', '[1,2]'],
      seed: 6,
      overrides: ['steps=9', `${QUEUE}=0`, 'losses.repulsion.block=[1,2]'],
    });
  });

  test('of values that read alike as file names are told apart', () => {
    const names = gridRuns(parseGrid(['a=[1,2],"1-2",-1,1']), 0, 1).map(({ name }) => name);
    expect(new Set(names).size).toBe(4);
  });

  test('of nothing varied are the seeds alone', () => {
    expect(gridRuns({ axes: [], fixed: [] }, 0, 2).map(({ name }) => name)).toEqual(['all_seed-0', 'all_seed-1']);
  });
});

test('short names are as short as tells them apart', () => {
  expect(shortNames([QUEUE, 'optimizer.ema'])).toEqual(['queue', 'ema']);
  expect(shortNames(['a.form.tau', 'a.view.tau', 'tau'])).toEqual(['form.tau', 'view.tau', 'tau']);
});
