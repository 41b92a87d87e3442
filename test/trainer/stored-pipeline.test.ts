import { expect, test } from 'vitest';
import type { Commit } from '../../src/codec/records.ts';
import { storedPipeline } from '../../src/trainer/stored-pipeline.ts';
import { TINY } from './tiny-run.ts';

const stored = (commit: object) =>
  storedPipeline({ config: JSON.stringify({ ...TINY, commit }), generation: 3, run: 'tiny' } as Commit);

test('what an earlier version said otherwise is said as it is now', () => {
  expect(stored({ everySteps: 7, keep: 9 }).commit).toMatchObject({ everySteps: 7, keep: { last: 9, every: null } });
  expect(stored({ keep: null }).commit.keep).toEqual({ last: 2, every: 1 });
  expect(stored({ keep: { last: 3, every: 4 } }).commit.keep).toEqual({ last: 3, every: 4 });
});

test('what an earlier version did not say has its default', () => {
  expect(stored({}).commit).toEqual({ everySteps: 500, everySeconds: 60, keep: { last: 5, every: null }, store: null });
});

test('what no version said is refused, and whose it is is told', () => {
  expect(() => stored({ keep: 'all' })).toThrow(/commit 3 of the run tiny has settings .*\n.*commit\.keep/);
});
