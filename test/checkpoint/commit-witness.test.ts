import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCommitter } from '../../src/checkpoint/commit.ts';
import { folderWitness } from '../../src/checkpoint/commit-witness.ts';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { recover } from '../../src/checkpoint/recover.ts';
import { openLog } from '../../src/log/open-log.ts';
import { progressFrom, SCENARIO, settings, trainAndCommit } from './scenario.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-witness-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Recovers on the log, and makes so many commits. The step recovered. */
async function live(log: string, commits: number, options: { fallback?: boolean; witnessed?: boolean } = {}) {
  const opened = await openLog(`file:${join(folder, log)}`);
  try {
    const store = await openFolderStore(join(folder, 'blobs'));
    const witness = options.witnessed === false ? {} : { witness: folderWitness(folder) };
    const committer = await openCommitter(settings(opened, store, witness));
    const recovered = await recover({ committer, fallback: options.fallback ?? false });
    const progress = progressFrom(SCENARIO, recovered);
    for (let i = 0; i < commits; i++) await trainAndCommit(SCENARIO, committer, progress, 1);
    await committer.close();
    return recovered?.commit.step ?? 0;
  } finally {
    await opened.close();
  }
}

test('a log that has lost every commit of a run is refused, also where a fallback is asked for: nothing is left, no blob is removed', async () => {
  await live('log', 3);
  await expect(live('other', 0)).rejects.toMatchObject({
    code: 'STATE_MISSING',
    exitStatus: 4,
    message: expect.stringMatching(/has made commit 3 .*committed\.json.*no commit at all/),
  });
  const blobs = await readdir(join(folder, 'blobs'));
  await expect(live('other', 1, { fallback: true })).rejects.toMatchObject({
    code: 'STATE_MISSING',
    hint: expect.stringContaining('begin a new run in another folder'),
  });
  expect(await readdir(join(folder, 'blobs'))).toEqual(blobs);
  expect(await live('log', 1)).toBe(3);
});

test('a log that has lost the newest commit is refused; asked to, the run goes on from the one before', async () => {
  await live('log', 2);
  await rm(join(folder, 'log', 'ids', 'repulsor-scenario', '0000000000000002.entry'));
  await expect(live('log', 0)).rejects.toMatchObject({ code: 'STATE_MISSING', exitStatus: 4 });
  expect(await live('log', 2, { fallback: true })).toBe(1);
  expect(await live('log', 0)).toBe(3);
});

test('a run trained in one folder on two logs at once is fenced on one of them before it commits again', async () => {
  await live('log', 2);
  await cp(join(folder, 'log'), join(folder, 'copy'), { recursive: true });
  const open = async (log: string) => {
    const opened = await openLog(`file:${join(folder, log)}`);
    const store = await openFolderStore(join(folder, 'blobs'));
    const committer = await openCommitter(settings(opened, store, { witness: folderWitness(folder) }));
    return { opened, committer, progress: progressFrom(SCENARIO, await recover({ committer })) };
  };
  const original = await open('log');
  const copy = await open('copy');
  await trainAndCommit(SCENARIO, copy.committer, copy.progress, 1);
  const before = await readdir(join(folder, 'blobs'));
  for (let again = 0; again < 2; again++) {
    await expect(trainAndCommit(SCENARIO, original.committer, original.progress, 1)).rejects.toMatchObject({
      code: 'FENCED',
      exitStatus: 3,
      message: expect.stringContaining('committed.json'),
    });
  }
  expect(await readdir(join(folder, 'blobs'))).toEqual(before);
  await trainAndCommit(SCENARIO, copy.committer, copy.progress, 1);
  for (const { opened, committer } of [original, copy]) {
    await committer.close();
    await opened.close();
  }
  expect(await live('copy', 1)).toBe(4);
});

test('a commit that was made and not noted holds', async () => {
  await live('log', 1);
  await live('log', 1, { witnessed: false });
  expect(await live('log', 1)).toBe(2);
  expect(await folderWitness(folder).generation()).toBe(3);
});

test('a note that is damaged is named, whichever bit it is', async () => {
  await live('log', 12);
  const path = join(folder, 'committed.json');
  const whole = await readFile(path);
  for (let at = 0; at < whole.length * 8; at++) {
    const flipped = Buffer.from(whole);
    flipped[at >> 3]! ^= 1 << (at & 7);
    await writeFile(path, flipped);
    await expect(folderWitness(folder).generation()).rejects.toMatchObject({ code: 'STATE_DAMAGED' });
  }
});
