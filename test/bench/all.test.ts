import { Command } from 'commander';
import { expect, test } from 'vitest';
import { PARTS } from '../../bench/all.ts';
import { goal } from '../../bench/benchmark.ts';
import { BENCHMARKS } from '../../bench/benchmarks.ts';
import { goalTable, markdownTable } from '../../bench/table.ts';

test('every part of `all` is a benchmark that takes its flags, whole and quick', async () => {
  for (const { name, flags, quick } of PARTS) {
    const { benchmark } = await BENCHMARKS.get(name)!();
    for (const given of [flags, quick]) {
      const command = benchmark.options(new Command(name).exitOverride());
      expect(() => command.parse([...given], { from: 'user' })).not.toThrow();
    }
  }
});

test('a table of results is Markdown: one line a row, no cell of which ends another', () => {
  const table = { title: 'T', columns: ['a|b', 'ms'], rows: [['x', 1234.5] as const] };
  expect(markdownTable(table)).toBe('T:\n\n| a/b | ms |\n| --- | ---: |\n| x | 1,235 |');
});

test('a goal that was measured by nothing is not met', () => {
  const [row] = goalTable({ some: goal(Number.NaN, '>=', 1) }).rows;
  expect(row).toEqual(['some', Number.NaN, '>= 1', 'NOT MET']);
});
