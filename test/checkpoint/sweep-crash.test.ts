import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateMultipartUploadCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openCommitter } from '../../src/checkpoint/commit.ts';
import { keptCommits } from '../../src/checkpoint/kept-commits.ts';
import { openStore } from '../../src/checkpoint/open-store.ts';
import { recover } from '../../src/checkpoint/recover.ts';
import { readState } from '../../src/checkpoint/restore.ts';
import { runTopics } from '../../src/checkpoint/run-id.ts';
import { openLog } from '../../src/log/open-log.ts';
import { liveOnce, type Place } from './crash.ts';
import { s3ForTests } from './s3-server.ts';
import { expectLogExact, expectWhole, progressFrom, SCENARIO, settings, trainAndCommit } from './scenario.ts';

const server = await s3ForTests();
let place: Place & { readonly store: string };
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-sweep-'));
});
afterEach(() => rm(folder, { recursive: true }));

const NAME = `${'0'.repeat(64)}`;

/** Two commits by a writer that removes nothing, and what a dead writer leaves: a blob of no commit, and half of one. */
async function litter(): Promise<number> {
  const log = await openLog(place.url);
  const store = await openStore(place.store);
  const committer = await openCommitter(settings(log, store, { run: place.run }));
  const progress = progressFrom(SCENARIO, await recover({ committer }));
  for (let i = 0; i < 2; i++) await trainAndCommit(SCENARIO, committer, progress, 3);
  await store.put({ bytes: 4, chunks: () => [Buffer.from(`n${committer.epoch}`.padEnd(4))] }, committer.epoch);
  if (place.store.startsWith('s3://')) {
    const Key = `${new URL(place.store).pathname.slice(1)}/${NAME}-${committer.epoch}`;
    await new S3Client({ forcePathStyle: true }).send(
      new CreateMultipartUploadCommand({ Bucket: server!.bucket, Key }),
    );
  } else await writeFile(join(place.store, `writing-${committer.epoch}-00000000-0000-4000-8000-000000000000`), 'half');
  await committer.close();
  await log.close();
  return progress.step;
}

/** Steps of the commits whose blobs are there, each restored bit for bit; and how many ownerships there are. */
async function whatIsThere(): Promise<{ steps: number[]; owned: number }> {
  const log = await openLog(place.url);
  try {
    const store = await openStore(place.store);
    const kept = await keptCommits(log, runTopics(place.run).commits, store);
    for (const { generation } of kept)
      expectWhole(await readState({ log, store, run: place.run }, { generation }), SCENARIO);
    await expectLogExact(log, place.run);
    return { steps: kept.map(({ step }) => step), owned: (await store.list()).length };
  } finally {
    await log.close();
  }
}

/** `every`: of the effects of a sweep each so-manieth is tried. What it leaves after one is what it leaves before the next. */
function crashes(open: () => Place & { readonly store: string }, every: number): void {
  beforeEach(() => {
    place = open();
  });

  test('killed at any effect of it, it has removed nothing that a commit names, and the next one ends it', {
    timeout: 600_000,
  }, async () => {
    await litter();
    await litter();
    const { moments } = await liveOnce(place, { commits: 0, collect: true });
    const once = ['remove-unfinished', 'remove'].flatMap((effect) => [`before ${effect}`, `after ${effect}`]);
    expect([...new Set(moments)]).toEqual(once);
    // A blob of no commit, two blobs each of two commits, and of a writer all of whose commits go that which never changes.
    const removed = moments.filter((name) => name === 'after remove').length;
    expect(removed).toBeGreaterThanOrEqual(6);
    const clean = (await whatIsThere()).owned;
    for (let moment = 0; moment < moments.length; moment += 2 * every) {
      const step = await litter();
      const life = await liveOnce(place, { commits: 0, collect: true, moment });
      expect(life, life.stderr).toMatchObject({ signal: 'SIGKILL', recovered: step });
      const { steps, owned } = await whatIsThere();
      expect(steps.slice(0, 2)).toEqual([step, step - 3]);
      expect(owned).toBeGreaterThanOrEqual(clean);
    }
    const last = await liveOnce(place, { commits: 0, collect: true });
    expect(last, last.stderr).toMatchObject({ code: 0 });
    const { steps, owned } = await whatIsThere();
    expect([steps.length, owned]).toEqual([2, clean]);
  });

  test('asleep in it while a successor commits the very blob that it is about to remove, it takes nothing from it', {
    timeout: 300_000,
  }, async () => {
    await liveOnce(place, { commits: 2 });
    // Killed before its transaction: the blobs of step 9 are there, and no commit names them.
    const { moments } = await liveOnce(place, { commits: 0 });
    expect(moments).toEqual([]);
    const whole = await liveOnce(place, { commits: 1 });
    expect(whole.committed).toEqual([9]);
    const attempt = await liveOnce(place, { commits: 1, moment: 'before begin' });
    expect(attempt).toMatchObject({ signal: 'SIGKILL', recovered: 9, committed: [] });
    for (const name of ['before remove', 'after remove']) {
      const zombie = await liveOnce(place, {
        commits: 0,
        collect: true,
        moment: name === 'before remove' ? 0 : 1,
        async whileStopped() {
          const next = await liveOnce(place, { commits: name === 'before remove' ? 1 : 2 });
          expect(next, next.stderr).toMatchObject({ code: 0 });
        },
      });
      expect(zombie, zombie.stderr).toMatchObject({ code: 0, failed: null });
      expect(zombie.moments.filter((moment) => moment === 'after remove').length).toBeGreaterThan(0);
      const { steps } = await whatIsThere();
      expect(steps.slice(0, 2)).toEqual(name === 'before remove' ? [12, 9] : [18, 15]);
      // So that the second zombie finds something to remove, too.
      await liveOnce(place, { commits: 1, moment: 'before begin' });
    }
  });
}

describe('a sweep of a folder', () => {
  crashes(() => ({ url: `file:${join(folder, 'log')}`, folder, store: join(folder, 'blobs'), run: 'scenario' }), 1);
});

describe.runIf(server !== null)('a sweep of a bucket of S3', () => {
  let runs = 0;
  crashes(
    () => ({
      url: `file:${join(folder, 'log')}`,
      folder,
      store: `s3://${server!.bucket}/run-${++runs}`,
      run: 'scenario',
    }),
    3,
  );
});
