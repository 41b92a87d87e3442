import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RepulsorError } from '../../src/errors.ts';
import { liveOnce, type Place, sleepThroughTakeOvers, stateNow } from './crash.ts';

let place: Place;
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'repulsor-crash-'));
  place = { url: `file:${join(folder, 'log')}`, folder, run: 'scenario' };
});
afterEach(() => rm(place.folder, { recursive: true }));

const EFFECTS = 'write fsync rename link fsync-folder begin negatives journal dead-letters commit-record commit'.split(
  ' ',
);

test('a trainer killed at every effect of a commit leaves the commit before or the new one, whole', {
  timeout: 600_000,
}, async () => {
  const first = await liveOnce(place, { commits: 1 });
  expect(first, first.stderr).toMatchObject({ code: 0, committed: [3] });
  // A second life has a blob there already. Its moments are those of every later life, each effect before and after.
  const { moments, committed } = await liveOnce(place, { commits: 1 });
  expect(committed).toEqual([6]);
  expect([...new Set(moments)].sort()).toEqual(EFFECTS.flatMap((e) => [`after ${e}`, `before ${e}`]).sort());
  let step = await stateNow(place);
  for (const [moment, name] of moments.entries()) {
    const life = await liveOnce(place, { commits: 1, moment });
    expect(life, life.stderr).toMatchObject({ signal: 'SIGKILL', recovered: step, committed: [] });
    expect(life.moments.at(-1)).toBe(name);
    const now = await stateNow(place);
    // The commit is made between the last two moments, and at no other.
    expect([name, now - step]).toEqual([name, name === 'after commit' ? 3 : 0]);
    step = now;
  }
  const last = await liveOnce(place, { commits: 1 });
  expect(last, last.stderr).toMatchObject({ code: 0, recovered: step, committed: [step + 3] });
  expect(await stateNow(place)).toBe(step + 3);
});

/** @returns 0: before a first commit there is no state to read. */
function noCommitYet(error: unknown): number {
  if (error instanceof RepulsorError && error.code === 'STATE_MISSING') return 0;
  throw error;
}

test('a trainer killed at any time keeps every commit that it was told of, and no part of another', {
  timeout: 300_000,
}, async () => {
  let step = 0;
  // On a busy machine 12 lives may be too short for a first commit: then there are more, and longer ones.
  for (let i = 0; i < 12 || step === 0; i++) {
    const life = await liveOnce(place, { commits: 1000, killAfterMs: i * 37 });
    expect(life, life.stderr).toMatchObject({ signal: 'SIGKILL' });
    expect(life.recovered ?? step).toBe(step);
    const told = life.committed.at(-1) ?? step;
    const now = await stateNow(place, { keepOrphans: true }).catch(noCommitYet);
    expect([told, told + 3]).toContain(now); // its last commit, also its first, may have been made before it could be told of it
    step = now;
  }
  expect(step).toBeGreaterThan(0);
});

test('a trainer that slept through a take-over is fenced when it wakes, wherever it slept, and changes nothing', {
  timeout: 300_000,
}, async () => {
  await sleepThroughTakeOvers(place, [
    'before write',
    'before begin',
    'before journal',
    'before commit',
    'after commit',
  ]);
});

test('a disk that takes no more of a blob fails the commit and leaves the last one', async () => {
  await liveOnce(place, { commits: 1 });
  // A blob has 2 x 1000 numbers and a header: more than 8,000 bytes. The log's files are smaller yet.
  const full = await liveOnce(place, { commits: 1, fileLimit: 15 });
  expect(full, full.stderr).toMatchObject({ code: 1, recovered: 3, committed: [], failed: 'STORE_FAILED' });
  expect(full.moments.at(-1)).toBe('before write');
  expect(full.hint).toMatch(/^The disk, or a quota on it, is full/);
  expect(await stateNow(place)).toBe(3);
  expect((await readdir(join(place.folder, 'blobs'))).filter((name) => name.startsWith('writing-'))).toEqual([]);
  expect(await liveOnce(place, { commits: 1 })).toMatchObject({ code: 0, recovered: 3, committed: [6] });
  expect(await stateNow(place)).toBe(6);
});
