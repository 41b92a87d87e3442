import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkKeep, commitsToKeep, type KeepCandidate } from '../../src/checkpoint/keep-rule.ts';

const never = async () => false;
const generations = (commits: readonly KeepCandidate[]) => commits.map(({ generation }) => generation);
/** Newest first. */
const lineageOf = (...numbers: number[]) => numbers.toReversed().map((generation) => ({ generation, whole: true }));

test('the newest and the every so-manieth are kept', async () => {
  const lineage = lineageOf(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
  expect(generations(await commitsToKeep(lineage, { last: 3, every: null }, never))).toEqual([10, 9, 8]);
  expect(generations(await commitsToKeep(lineage, { last: 2, every: 4 }, never))).toEqual([10, 9, 8, 4]);
  expect(generations(await commitsToKeep(lineage, { last: 2, every: 1 }, never))).toEqual(generations(lineage));
  expect(await commitsToKeep([], { last: 2, every: 1 }, never)).toEqual([]);
});

test('the oldest whole one that can be replayed from is kept, and no other for that', async () => {
  const lineage = lineageOf(1, 2, 3, 4, 5, 6).map((c) => ({ ...c, whole: c.generation !== 3 }));
  const from = (first: number) => async (c: KeepCandidate) => c.generation >= first;
  for (const [first, kept] of [
    [1, 1],
    [2, 2],
    [3, 4],
    [6, null],
    [9, null],
  ] as const) {
    const expected = kept === null ? [6, 5] : [6, 5, kept];
    expect(generations(await commitsToKeep(lineage, { last: 2, every: null }, from(first)))).toEqual(expected);
  }
});

/** After fallbacks numbers are missing, but rise. */
const lineages = fc
  .uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 30 })
  .map((numbers) => lineageOf(...numbers.sort((a, b) => a - b)));
const keeps = fc.record({ last: fc.integer({ min: 2, max: 6 }), every: fc.option(fc.integer({ min: 1, max: 9 })) });

test('a writer that sees a part of a lineage keeps all of it that its successor keeps', async () => {
  await fc.assert(
    fc.asyncProperty(lineages, keeps, fc.nat(30), async (lineage, keep, later) => {
      const before = lineage.slice(later);
      const mine = new Set(generations(await commitsToKeep(before, keep, never)));
      const theirs = generations(await commitsToKeep(lineage, keep, never));
      const seen = new Set(generations(before));
      expect(theirs.filter((generation) => seen.has(generation) && !mine.has(generation))).toEqual([]);
    }),
  );
});

test('what was left out once is not missed later: keeping is of what was kept before', async () => {
  await fc.assert(
    fc.asyncProperty(lineages, keeps, async (lineage, keep) => {
      // Commit by commit, as a trainer does it, against the whole lineage at once, as the next one does.
      let held: KeepCandidate[] = [];
      for (const commit of lineage.toReversed()) held = await commitsToKeep([commit, ...held], keep, never);
      expect(held).toEqual(await commitsToKeep(lineage, keep, never));
    }),
  );
});

test.each([
  { last: 1, every: null },
  { last: 2.5, every: null },
  { last: 2, every: 0 },
  { last: 2, every: Number.NaN },
])('%j is no way to keep commits', (keep) => {
  expect(() => checkKeep(keep)).toThrow(expect.objectContaining({ code: 'CONFIG' }));
});
