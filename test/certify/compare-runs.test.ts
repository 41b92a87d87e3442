import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CommittedOutcome, readOutcome } from '../../src/certify/committed-outcome.ts';
import { compareRuns } from '../../src/certify/compare-runs.ts';
import { openCommitter } from '../../src/checkpoint/commit.ts';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { recover } from '../../src/checkpoint/recover.ts';
import type { Commit } from '../../src/codec/records.ts';
import { openLog } from '../../src/log/open-log.ts';
import { progressFrom, SCENARIO, type Scenario, settings, trainAndCommit } from '../checkpoint/scenario.ts';

let folder: string;
let made = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-compare-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A run of one life for each list of commits, each of so many steps. */
async function outcome(
  lives: readonly (readonly number[])[],
  scenario: Scenario = SCENARIO,
): Promise<CommittedOutcome> {
  const at = join(folder, `${++made}`);
  const log = await openLog(`file:${join(at, 'log')}`);
  const store = await openFolderStore(join(at, 'blobs'));
  for (const commits of lives) {
    const committer = await openCommitter(settings(log, store));
    const progress = progressFrom(scenario, await recover({ committer }));
    for (const steps of commits) await trainAndCommit(scenario, committer, progress, steps);
    await committer.close();
  }
  const found = (await readOutcome({ log, store, run: 'scenario' }))!;
  await log.close();
  return found;
}

test('a run of several lives and other commits equals the uninterrupted one', async () => {
  expect(compareRuns(await outcome([[1], [2, 1], [2]]), await outcome([[3, 3]]))).toEqual([]);
});

test('a run with other losses differs at its first step, in its weights and its queue', async () => {
  const found = compareRuns(await outcome([[6]], { ...SCENARIO, lineage: 1 }), await outcome([[3, 3]]));
  expect(found.map(({ kind, what }) => `${kind}: ${what}`)).toEqual([
    'differs: step 1 is the first that differs: loss, keys',
    "differs: not the uninterrupted run's: the blobs of the weights",
    "differs: not the uninterrupted run's: the weights",
    "differs: not the uninterrupted run's: the queue",
    "differs: not the uninterrupted run's: the digest of the queue",
    "differs: not the uninterrupted run's: the digest of the journal",
  ]);
});

test('what is lost, and what is there twice, is told by name', async () => {
  const reference = await outcome([[3, 3]]);
  const shorter = compareRuns(await outcome([[3, 2]]), reference);
  expect(shorter).toContainEqual({ kind: 'lost', what: 'the run ends at step 5, not 6' });
  expect(shorter).toContainEqual({ kind: 'lost', what: 'sample images/0/6/0 and 4 more' });
  expect(shorter).toContainEqual({ kind: 'lost', what: 'dead letter images/0/6/-' });
  const run = await outcome([[6]]);
  const twice = { ...run.steps[4]!, step: 6 };
  const repeated = compareRuns({ ...run, steps: [...run.steps.slice(0, 5), twice] }, reference);
  expect(repeated).toContainEqual({ kind: 'repeated', what: 'sample images/0/5/0 and 4 more' });
  expect(repeated).toContainEqual({ kind: 'lost', what: 'sample images/0/6/0 and 4 more' });
  const zombie = compareRuns({ ...run, journaled: [...run.journaled, run.journaled[3]!] }, reference);
  expect(zombie).toEqual([{ kind: 'repeated', what: 'journal entry of step 4' }]);
  const forked = compareRuns({ ...run, commits: [...run.commits, run.commits[0]!] }, reference);
  expect(forked[0]).toEqual({ kind: 'differs', what: '2 commits, but only 1 are one chain' });
});

test('a commit of a writer after one that had fenced it is told', async () => {
  const run = await outcome([[3], [3]]);
  const [first, second] = run.commits as [Commit, Commit];
  expect(second.epoch).toBeGreaterThan(first.epoch);
  const late = { ...run, commits: [{ ...first, epoch: second.epoch + 1 }, second] };
  expect(compareRuns(late, await outcome([[6]])).map(({ what }) => what)).toEqual([
    `commit 2 is of the writer ${second.epoch}, which ${second.epoch + 1} had fenced`,
  ]);
});

test('where bits cannot be the same, the samples and the place in the input still must be', async () => {
  const reference = await outcome([[3, 3]]);
  const otherwise = await outcome([[6]], { ...SCENARIO, lineage: 1 });
  expect(compareRuns(otherwise, reference, { samplesOnly: true })).toEqual([]);
  const steps = otherwise.steps.toSpliced(2, 1, { ...otherwise.steps[2]!, samples: otherwise.steps[3]!.samples });
  const found = compareRuns({ ...otherwise, steps }, reference, { samplesOnly: true });
  expect(found.map(({ kind }) => kind)).toEqual(['differs', 'lost', 'repeated']);
});
