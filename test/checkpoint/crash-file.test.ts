import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { readState } from '../../src/checkpoint/restore.ts';
import { openLog } from '../../src/log/open-log.ts';
import { liveOnce } from './crash.ts';
import { expectLogExact, expectWhole, SCENARIO } from './scenario.ts';

let folder: string;
let url: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-crash-'));
  url = `file:${join(folder, 'log')}`;
});
afterEach(() => rm(folder, { recursive: true }));

/**
 * The state as anyone would find it now, checked whole; its step. Blobs that no commit names are removed unless kept: with
 * them a second attempt at the same commit finds blobs of the first, and has fewer effects.
 */
async function stateNow(options = { keepOrphans: false }): Promise<number> {
  const log = await openLog(url);
  const store = await openFolderStore(join(folder, 'blobs'));
  try {
    const state = await readState({ log, store, run: 'scenario' });
    expectWhole(state, SCENARIO);
    await expectLogExact(log);
    if (!options.keepOrphans) {
      const named = state.commit.blobs.map(({ sha256 }) => sha256);
      for (const { sha256 } of await store.list()) if (!named.includes(sha256)) await store.remove(sha256);
    }
    return state.commit.step;
  } finally {
    await log.close();
  }
}

const EFFECTS = 'write fsync rename fsync-folder begin negatives journal dead-letters commit-record commit'.split(' ');

test('a trainer killed at every effect of a commit leaves the commit before or the new one, whole', {
  timeout: 600_000,
}, async () => {
  const first = await liveOnce(url, folder, { commits: 2, moment: -1 });
  expect(first).toMatchObject({ code: 0, committed: [3, 6] });
  // The second commit's moments: the frozen blob is there by then. All of them are effects we know, each before and after.
  const moments = first.moments.slice(first.moments.indexOf('after commit') + 1);
  expect([...new Set(moments)].sort()).toEqual(EFFECTS.flatMap((e) => [`after ${e}`, `before ${e}`]).sort());
  let step = await stateNow();
  for (const [moment, name] of moments.entries()) {
    const life = await liveOnce(url, folder, { commits: 1, moment });
    expect(life, life.stderr).toMatchObject({ signal: 'SIGKILL', recovered: step, committed: [] });
    expect(life.moments.at(-1)).toBe(name);
    const now = await stateNow();
    // The commit is made between the last two moments, and at no other.
    expect([name, now - step]).toEqual([name, name === 'after commit' ? 3 : 0]);
    step = now;
  }
  const last = await liveOnce(url, folder, { commits: 1, moment: -1 });
  expect(last).toMatchObject({ code: 0, recovered: step, committed: [step + 3] });
  expect(await stateNow()).toBe(step + 3);
});

test('a trainer killed at any time keeps every commit that it was told of, and no part of another', {
  timeout: 300_000,
}, async () => {
  let step = 0;
  for (let i = 0; i < 12; i++) {
    const life = await liveOnce(url, folder, { commits: 1000, moment: -1, killAfterMs: i * 37 });
    expect(life, life.stderr).toMatchObject({ signal: 'SIGKILL' });
    expect(life.recovered ?? step).toBe(step);
    const told = life.committed.at(-1) ?? step;
    if (told === 0) continue;
    const now = await stateNow({ keepOrphans: true });
    expect([told, told + 3]).toContain(now); // its last commit may have been made before it could be told of it
    step = now;
  }
  expect(step).toBeGreaterThan(0);
});

test('a disk that takes no more of a blob fails the commit and leaves the last one', async () => {
  await liveOnce(url, folder, { commits: 1, moment: -1 });
  // A blob has 2 x 1000 numbers and a header: more than 8,000 bytes. The log's files are smaller yet.
  const full = await liveOnce(url, folder, { commits: 1, moment: -1, fileLimit: 15 });
  expect(full).toMatchObject({ code: 1, signal: null, recovered: 3, committed: [] });
  expect(full.stderr).toMatch(/EFBIG/);
  expect(full.stderr).toMatch(/code: 'STORE_FAILED'/);
  expect(full.stderr).toMatch(/The disk, or a quota on it, is full/);
  expect(await stateNow()).toBe(3);
  expect((await readdir(join(folder, 'blobs'))).filter((name) => name.startsWith('writing-'))).toEqual([]);
  expect(await liveOnce(url, folder, { commits: 1, moment: -1 })).toMatchObject({
    code: 0,
    recovered: 3,
    committed: [6],
  });
  expect(await stateNow()).toBe(6);
});
