import { mkdtemp, readdir, readFile, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CommitterSettings, openCommitter } from '../../src/checkpoint/commit.ts';
import { FORMAT_HEADER, openLineage } from '../../src/checkpoint/commit-history.ts';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { keptCommits } from '../../src/checkpoint/kept-commits.ts';
import { readJournal } from '../../src/checkpoint/read-journal.ts';
import { recover } from '../../src/checkpoint/recover.ts';
import { type RestoredState, readState } from '../../src/checkpoint/restore.ts';
import { runTopics } from '../../src/checkpoint/run-id.ts';
import type { BlobStore } from '../../src/checkpoint/store.ts';
import { verifyRun } from '../../src/checkpoint/verify.ts';
import { decode, encode } from '../../src/codec/single-object.ts';
import { RepulsorError } from '../../src/errors.ts';
import type { Log } from '../../src/log/log.ts';
import { failingLog } from './failing-log.ts';
import {
  advance,
  CONFIG,
  expectLogExact,
  expectWhole,
  freshProgress,
  progressFrom,
  SCENARIO,
  type Scenario,
  settings,
  stateAt,
  trainAndCommit,
} from './scenario.ts';

export interface ContractLog {
  /** Holds nothing of the run `scenario`, and no topic `images`. */
  readonly log: Log;
  /** Removes the records of partition 0 before `offset`, as retention does. */
  forget(topic: string, offset: number): Promise<void>;
  /** Called once the log is closed. */
  remove(): Promise<void>;
}

/** What a run may rely on, whichever log it has. */
export function commitContract(openLog: () => Promise<ContractLog>): void {
  let log: Log;
  let forget: ContractLog['forget'];
  let store: BlobStore;
  let folder: string;
  let remove: () => Promise<void>;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'repulsor-commit-'));
    store = await openFolderStore(join(folder, 'blobs'));
    ({ log, forget, remove } = await openLog());
  });
  afterEach(async () => {
    await log.close();
    await remove();
    await rm(folder, { recursive: true });
  });

  const open = (more = {}) => openCommitter(settings(log, store, more));
  /** The one file of a blob that one writer put. */
  const blobPath = async (state: RestoredState, name: string) => {
    const { sha256 } = state.commit.blobs.find((b) => b.name === name)!;
    const files = (await readdir(store.where)).filter((file) => file.startsWith(sha256));
    expect(files.length).toBe(1);
    return join(store.where, files[0]!);
  };

  /** A run that committed after each of the given numbers of steps. */
  async function made(s: Scenario, ...steps: number[]) {
    const committer = await open();
    const progress = progressFrom(s, await recover({ committer }));
    for (const n of steps) await trainAndCommit(s, committer, progress, n);
    return { committer, progress };
  }

  test('a run without a commit has nothing to recover', async () => {
    const committer = await open();
    expect(await recover({ committer })).toBeNull();
    await expect(readState({ log, store, run: 'scenario' })).rejects.toMatchObject({ code: 'STATE_MISSING' });
    await committer.close();
  });

  test('what was committed last is recovered, bit for bit, and goes on as if nothing had happened', async () => {
    for (const [i, steps] of [[2], [1, 3], [0, 4]].entries()) {
      const { committer } = await made(SCENARIO, ...steps);
      await committer.close();
      const next = await open();
      expect(next.epoch).toBeGreaterThan(committer.epoch);
      const recovered = (await recover({ committer: next }))!;
      expect(recovered.commit.step).toBe([2, 6, 10][i]);
      expect(recovered.skipped).toEqual([]);
      expectWhole(recovered, SCENARIO);
      await next.close();
    }
    await expectLogExact(log);
  });

  test('a commit reports what it did, and an unchanged blob is not written again', async () => {
    const committer = await open();
    const progress = freshProgress(SCENARIO);
    const first = await committer.commit({ ...advance(SCENARIO, progress, 2), stallSeconds: 0.25 });
    const { commit } = await readState({ log, store, run: 'scenario' });
    const bytes = commit.blobs.reduce((sum, blob) => sum + blob.bytes, 0);
    const frozen = commit.blobs.find(({ name }) => name === 'frozen')!.bytes;
    expect(first).toMatchObject({ step: 2, generation: 1, samples: 10, stallSeconds: 0.25, bytesWritten: bytes });
    expect(first.seconds).toBeGreaterThan(0.25);
    const second = await trainAndCommit(SCENARIO, committer, progress, 1);
    expect(second).toMatchObject({ step: 3, generation: 2, bytesWritten: bytes - frozen });
    await committer.close();
  });

  test('the queue of every committed step can be had again, for any K, B and cadence', async () => {
    const shape = fc.record({
      capacity: fc.integer({ min: 0, max: 40 }),
      dim: fc.integer({ min: 1, max: 4 }),
      batch: fc.integer({ min: 1, max: 17 }),
      steps: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 4 }),
    });
    let number = 0;
    await fc.assert(
      fc.asyncProperty(shape, async ({ steps, ...rest }) => {
        const s = { ...rest, lineage: 0 };
        const run = `scenario-${++number}`;
        const committer = await open({ run });
        const progress = freshProgress(s);
        for (const n of steps) await trainAndCommit(s, committer, progress, n);
        await committer.close();
        for (let generation = 1; generation <= steps.length; generation++)
          expectWhole(await readState({ log, store, run }, { generation }), s);
        await expectLogExact(log, run);
      }),
      { numRuns: 12, endOnFailure: true },
    );
  });

  test('one commit runs at a time', async () => {
    const { committer, progress } = await made(SCENARIO);
    const running = trainAndCommit(SCENARIO, committer, progress, 2);
    await expect(committer.commit(advance(SCENARIO, { ...progress }, 0))).rejects.toThrow(/one at a time/);
    await running;
    await committer.close();
    await expectLogExact(log);
  });

  test('a step large enough for several records of Kafka comes back whole', async () => {
    const s = { capacity: 3001, dim: 128, batch: 2900, lineage: 0 };
    const { committer } = await made(s, 1, 2);
    await committer.close();
    const committed = await readState({ log, store, run: 'scenario' });
    expectWhole(committed, s);
  });

  describe('when another trainer takes the run over', () => {
    test('the first one is fenced at its next commit, and changes nothing', async () => {
      const { committer: zombie, progress } = await made(SCENARIO, 2);
      const next = await open();
      await expect(trainAndCommit(SCENARIO, zombie, progress, 1)).rejects.toMatchObject({
        code: 'FENCED',
        exitStatus: 3,
      });
      const recovered = (await recover({ committer: next }))!;
      expect(recovered.commit).toMatchObject({ step: 2, generation: 1 });
      expectWhole(recovered, SCENARIO);
      await trainAndCommit(SCENARIO, next, progressFrom(SCENARIO, recovered), 3);
      await expect(zombie.commit(advance(SCENARIO, progress, 0))).rejects.toMatchObject({ code: 'FENCED' });
      await next.close();
      await zombie.close();
      expectWhole(await readState({ log, store, run: 'scenario' }), SCENARIO);
      await expectLogExact(log);
    });

    test('in the middle of a commit, the commit is whole or was never there', async () => {
      let takeOver: (() => Promise<void>) | null = null;
      const zombie = await open({
        onEffect: async (moment: string, effect: string) => {
          if (moment === 'before' && effect === 'commit') await takeOver?.();
        },
      });
      const progress = freshProgress(SCENARIO);
      await trainAndCommit(SCENARIO, zombie, progress, 2);
      let recovered: RestoredState | null = null;
      takeOver = async () => {
        const next = await open();
        recovered = await recover({ committer: next });
        await trainAndCommit(SCENARIO, next, progressFrom(SCENARIO, recovered), 1);
        await next.close();
      };
      await expect(trainAndCommit(SCENARIO, zombie, progress, 5)).rejects.toMatchObject({ code: 'FENCED' });
      expect(recovered!.commit.step).toBe(2);
      await zombie.close();
      const state = await readState({ log, store, run: 'scenario' });
      expect(state.commit).toMatchObject({ step: 3, generation: 2 });
      expectWhole(state, SCENARIO);
      await expectLogExact(log);
    });
  });

  describe('a blob that is not what was committed', () => {
    const harms: [string, (path: string) => Promise<void>, string][] = [
      ['missing', (path) => unlink(path), 'STATE_MISSING'],
      ['torn', (path) => truncate(path, 100), 'STATE_DAMAGED'],
      ['emptied', (path) => truncate(path, 0), 'STATE_DAMAGED'],
      ['with a bit flipped in its header', (path) => flip(path, 20), 'STATE_DAMAGED'],
      ['with a bit flipped in its last byte', (path) => flip(path, -1), 'STATE_DAMAGED'],
    ];
    async function flip(path: string, at: number) {
      const bytes = await readFile(path);
      bytes[at < 0 ? bytes.length + at : at]! ^= 1;
      await writeFile(path, bytes);
    }

    test.each(harms)(
      '%s: refused by name, and the commit before is had only when asked for',
      async (_how, harm, code) => {
        const { committer } = await made(SCENARIO, 2, 2, 3);
        await committer.close();
        const path = await blobPath(await readState({ log, store, run: 'scenario' }), 'optimizer');
        await harm(path);
        const next = await open();
        await expect(recover({ committer: next })).rejects.toMatchObject({
          code,
          exitStatus: 4,
          message: expect.stringContaining(basename(path).slice(0, 64)),
        });
        const recovered = (await recover({ committer: next, fallback: true }))!;
        expect(recovered.commit).toMatchObject({ step: 4, generation: 2 });
        expect(recovered.skipped).toMatchObject([{ generation: 3, error: { code } }]);
        expectWhole(recovered, SCENARIO);
        await next.close();
      },
    );

    test('after a fallback the given-up steps are in no later state', async () => {
      const first = { ...SCENARIO, lineage: 0 };
      const second = { ...SCENARIO, lineage: 1 };
      const { committer } = await made(first, 2, 1, 3);
      await committer.close();
      await unlink(await blobPath(await readState({ log, store, run: 'scenario' }), 'model'));
      const next = await open();
      const progress = progressFrom(second, await recover({ committer: next, fallback: true }));
      expect(progress.step).toBe(3);
      const report = await trainAndCommit(second, next, progress, 1);
      expect(report.generation).toBe(4);
      await trainAndCommit(second, next, progress, 1);
      await next.close();
      const of = (step: number) => (step <= 3 ? first : second);
      const last = await open();
      const recovered = (await recover({ committer: last }))!;
      expect(recovered.commit).toMatchObject({ step: 5, generation: 5 });
      expectWhole(recovered, of);
      await last.close();
      expectWhole(await readState({ log, store, run: 'scenario' }, { generation: 4 }), of);
      await expect(readState({ log, store, run: 'scenario' }, { generation: 3 })).rejects.toMatchObject({
        code: 'STATE_MISSING',
      });
    });

    test('with no whole commit left, even a fallback is refused', async () => {
      const { committer } = await made(SCENARIO, 1, 1);
      await committer.close();
      await unlink(await blobPath(await readState({ log, store, run: 'scenario' }), 'frozen'));
      const next = await open();
      await expect(recover({ committer: next, fallback: true })).rejects.toMatchObject({ code: 'STATE_MISSING' });
      await next.close();
    });
  });

  describe('a state that does not fit is refused', () => {
    test('other settings, naming each and allowing those that shape no state', async () => {
      const { committer } = await made(SCENARIO, 1);
      await committer.close();
      const other = await open({ config: { ...CONFIG, model: { depth: 6 }, commit: { everySteps: 9 } } });
      const freeSettings = ['commit', 'steps'];
      await expect(recover({ committer: other, freeSettings })).rejects.toMatchObject({
        code: 'STATE_MISMATCH',
        exitStatus: 2,
        message: expect.stringMatching(/step 1: model\.depth was 4, is 6$/),
      });
      await other.close();
      const free = await open({ config: { ...CONFIG, commit: { everySteps: 9 }, steps: 100 } });
      expect((await recover({ committer: free, freeSettings }))!.commit.step).toBe(1);
      await free.close();
    });

    test('but not for settings that came after it, filled in as they then were', async () => {
      const { committer } = await made(SCENARIO, 1);
      await committer.close();
      const later = await open({ config: { ...CONFIG, path: 'linear' } });
      await expect(recover({ committer: later })).rejects.toMatchObject({ code: 'STATE_MISMATCH' });
      const complete = (committed: unknown) => ({ path: 'linear', ...(committed as object) });
      expect((await recover({ committer: later, complete }))!.commit.step).toBe(1);
      await later.close();
      const other = await open({ config: { ...CONFIG, path: 'vp' } });
      await expect(recover({ committer: other, complete })).rejects.toMatchObject({
        message: expect.stringMatching(/path was "linear", is "vp"$/),
      });
      await other.close();
    });

    test('a newer format, whether or not its record can be decoded', async () => {
      const { committer } = await made(SCENARIO, 1);
      await committer.close();
      const { commit } = await readState({ log, store, run: 'scenario' });
      const topic = runTopics('scenario').commits;
      const writer = await log.takeOver('repulsor-scenario');
      const newer = encode('commit', { ...commit, formatVersion: 2, generation: 2 });
      for (const record of [
        { value: newer },
        { value: Buffer.from('?'), headers: { [FORMAT_HEADER]: Buffer.from('2') } },
      ]) {
        const transaction = await writer.begin();
        await transaction.append(topic, [record]);
        await transaction.commit();
        await expect(readState({ log, store, run: 'scenario' })).rejects.toMatchObject({
          code: 'FORMAT_NEWER',
          exitStatus: 4,
        });
      }
      await writer.close();
      await expect(open()).rejects.toMatchObject({ code: 'FORMAT_NEWER' });
    });

    test('a strange record among the commits', async () => {
      const { committer } = await made(SCENARIO, 1, 1);
      await committer.close();
      const topic = runTopics('scenario').commits;
      const { commit } = await readState({ log, store, run: 'scenario' });
      for (const [value, message] of [
        [encode('commit', { ...commit, generation: 9 }), /generation 9 follows 2/],
        [Buffer.from('no commit'), /not in Avro/],
      ] as const) {
        const writer = await log.takeOver('repulsor-scenario');
        const transaction = await writer.begin();
        await transaction.append(topic, [{ value }]);
        await transaction.commit();
        await writer.close();
        const read = readState({ log, store, run: 'scenario' }, { generation: 1 });
        await expect(read).rejects.toMatchObject({ code: 'STATE_DAMAGED', message: expect.stringMatching(message) });
      }
    });

    test('negatives that are not the ones committed', async () => {
      const { committer, progress } = await made(SCENARIO, 1);
      const request = advance(SCENARIO, progress, 1);
      const keys = request.negatives[0]!.keys.slice();
      keys[0]! ^= 1;
      await committer.commit({ ...request, negatives: [{ ...request.negatives[0]!, keys }] });
      await committer.close();
      const next = await open();
      await expect(recover({ committer: next })).rejects.toMatchObject({
        code: 'STATE_DAMAGED',
        message: expect.stringContaining('scenario.negatives'),
      });
      expectWhole((await recover({ committer: next, fallback: true }))!, SCENARIO);
      await next.close();
    });

    test('a commit that does not continue the last one is not made', async () => {
      const { committer, progress } = await made(SCENARIO, 2);
      const request = advance(SCENARIO, progress, 2);
      for (const [wrong, message] of [
        [{ ...request, journal: request.journal.slice(1) }, /step 4 stands where step 3 belongs/],
        [{ ...request, journal: request.journal.slice(0, 1) }, /it is of step 4, its journal ends at step 3/],
        [{ ...request, negatives: [] }, /its queue counts 20 rows, not 10/],
        [
          { ...request, journal: request.journal.map((e) => ({ ...e, terms: { total: 0 } })) },
          /step 3 does not have the digest/,
        ],
      ] as const)
        await expect(committer.commit(wrong)).rejects.toMatchObject({
          code: 'STATE_MISMATCH',
          message: expect.stringMatching(message),
        });
      await committer.commit(request);
      await committer.close();
      expectWhole(await readState({ log, store, run: 'scenario' }), SCENARIO);
      await expectLogExact(log);
    });

    test('negatives that retention removed, but only while the queue still needs them', async () => {
      const { committer, progress } = await made(SCENARIO, 3, 1); // 13 of 20 rows count: those of steps 2 to 4
      const first = (await readState({ log, store, run: 'scenario' }, { generation: 1 })).commit.negatives.begin;
      await committer.close();
      await forget(runTopics('scenario').negatives, first + 1);
      expectWhole(await readState({ log, store, run: 'scenario' }), SCENARIO);
      await forget(runTopics('scenario').negatives, first + 2);
      const next = await open();
      await expect(recover({ committer: next, fallback: true })).rejects.toMatchObject({
        code: 'STATE_TRUNCATED',
        exitStatus: 4,
        message: expect.stringContaining(`scenario.negatives from before offset ${first + 2}`),
      });
      expect(progress.step).toBe(4);
      await next.close();
    });

    test('inputs that retention removed before they were read', async () => {
      await log.createTopic('images', { partitions: 2 });
      const record = { value: Buffer.from('x') };
      await log.append(
        'images',
        Array.from({ length: 9 }, () => record),
      );
      await log.append(
        'images',
        Array.from({ length: 9 }, () => ({ ...record, partition: 1 })),
      );
      const { committer } = await made(SCENARIO, 2); // goes on at offset 6 of partition 0, at 4 of partition 1
      await committer.close();
      const next = await open();
      await forget('images', 6);
      expect((await recover({ committer: next, inputs: log }))!.commit.step).toBe(2);
      await forget('images', 7);
      await expect(recover({ committer: next, inputs: log })).rejects.toMatchObject({
        code: 'STATE_TRUNCATED',
        message:
          'images, partition 0: the run goes on at offset 6, but offsets 6 to 6 were removed (1 record): the earliest left is 7',
      });
      await next.close();
    });

    test('inputs that are not there any more; more partitions than before do not hinder', async () => {
      const { committer } = await made(SCENARIO, 1);
      await committer.close();
      const next = await open();
      const refusedFor = (message: string) =>
        expect(recover({ committer: next, inputs: log })).rejects.toMatchObject({
          code: 'STATE_MISSING',
          exitStatus: 4,
          message: expect.stringContaining(message),
        });
      await refusedFor('images');
      const renamed = (partitions: number[]): Log => ({
        ...failingLog(log, () => ({})),
        partitions: async () => partitions,
      });
      await log.createTopic('images', { partitions: 3 });
      await expect(recover({ committer: next, inputs: renamed([0]) })).rejects.toMatchObject({
        code: 'STATE_MISSING',
        message: 'images has no partition 1; the run reads it from offset 2 on',
      });
      expect((await recover({ committer: next, inputs: log }))!.commit.step).toBe(1);
      await next.close();
    });
  });

  describe('a log that fails', () => {
    const lost = () => new RepulsorError('LOG_UNREACHABLE', 'the connection was lost', { hint: 'wait' });

    test.each([true, false])(
      'while it commits, leaves open what holds, whichever it is (committed: %s)',
      async (took) => {
        const { committer, progress } = await made(SCENARIO, 2);
        await committer.close();
        const flaky = failingLog(log, (transaction) => ({
          async commit() {
            await (took ? transaction.commit() : transaction.abort());
            throw lost();
          },
        }));
        const second = await openCommitter(settings(flaky, store));
        const unknown = { code: 'LOG_FAILED', message: expect.stringContaining('commit 2 is not known') };
        await expect(trainAndCommit(SCENARIO, second, progress, 2)).rejects.toMatchObject(unknown);
        await expect(trainAndCommit(SCENARIO, second, progress, 1)).rejects.toMatchObject(unknown);
        await second.close();
        const third = await open();
        const recovered = (await recover({ committer: third }))!;
        expect(recovered.commit.step).toBe(took ? 4 : 2);
        expectWhole(recovered, SCENARIO);
        await trainAndCommit(SCENARIO, third, progressFrom(SCENARIO, recovered), 1);
        await third.close();
        await expectLogExact(log);
      },
    );

    test('before it commits, takes nothing, and the commit can be tried again with what came since', async () => {
      let broken = true;
      const flaky = failingLog(log, (transaction) => ({
        append(topic, records) {
          if (broken && topic.endsWith('.commits')) throw lost();
          return transaction.append(topic, records);
        },
      }));
      const committer = await openCommitter(settings(flaky, store));
      const progress = freshProgress(SCENARIO);
      const first = advance(SCENARIO, progress, 2);
      await expect(committer.commit(first)).rejects.toMatchObject({ code: 'LOG_UNREACHABLE' });
      broken = false;
      const more = advance(SCENARIO, progress, 1);
      await committer.commit({
        ...more,
        journal: [...first.journal, ...more.journal],
        negatives: [...first.negatives, ...more.negatives],
        deadLetters: [...first.deadLetters!, ...more.deadLetters!],
      });
      await committer.close();
      const state = await readState({ log, store, run: 'scenario' });
      expect(state.commit).toMatchObject({ step: 3, generation: 1 });
      expectWhole(state, SCENARIO);
      await expectLogExact(log);
    });
  });

  test('a store that fails leaves the last commit, and the commit can be tried again', async () => {
    let broken = false;
    const flaky: BlobStore = {
      ...store,
      put(content, owner) {
        if (broken) throw new RepulsorError('STORE_FAILED', 'no space left', { hint: 'free some' });
        return store.put(content, owner);
      },
    };
    const committer = await openCommitter(settings(log, flaky));
    const progress = freshProgress(SCENARIO);
    await trainAndCommit(SCENARIO, committer, progress, 1);
    broken = true;
    const request = advance(SCENARIO, progress, 1);
    await expect(committer.commit(request)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect((await readState({ log, store, run: 'scenario' })).commit.step).toBe(1);
    broken = false;
    await committer.commit(request);
    await committer.close();
    expectWhole(await readState({ log, store, run: 'scenario' }), SCENARIO);
    await expectLogExact(log);
  });

  describe('blobs that no kept commit needs are removed', () => {
    const newestTwo = { last: 2, every: null };
    const run = () => ({ log, store, run: 'scenario' });
    /** Generations whose blobs are all there, each restored whole. */
    async function kept(of: Scenario | ((step: number) => Scenario) = SCENARIO): Promise<number[]> {
      const found = await keptCommits(log, runTopics('scenario').commits, store);
      for (const { generation } of found) expectWhole(await readState(run(), { generation }), of);
      return found.map(({ generation }) => generation).reverse();
    }
    /** Another life of the run: so many commits of one step each. */
    async function live(commits: number, more: Partial<CommitterSettings> = {}, s = SCENARIO, fallback = false) {
      const committer = await open({ keep: newestTwo, ...more });
      const progress = progressFrom(s, await recover({ committer, fallback }));
      committer.collect();
      for (let i = 0; i < commits; i++) await trainAndCommit(s, committer, progress, 1);
      await committer.close();
    }
    const names = async () => (await readdir(store.where)).sort();

    test('all but of the newest, with what dead writers left', async () => {
      await store.put({ bytes: 1, chunks: () => [Buffer.from('x')] }, 0); // of an attempt that was never committed
      await writeFile(join(store.where, 'writing-0-00000000-0000-4000-8000-000000000000'), 'half');
      await live(4);
      expect(await kept()).toEqual([3, 4]);
      await live(1);
      expect(await kept()).toEqual([4, 5]);
      // Both have a model and an optimizer, and one that never changes, which each of the two writers owns.
      expect((await names()).length).toBe(2 * 2 + 2);
      await expect(open({ keep: { last: 1, every: null } })).rejects.toMatchObject({ code: 'CONFIG' });
    });

    test('nothing, unless it is asked for', async () => {
      await live(3, { keep: undefined } as never);
      expect(await kept()).toEqual([1, 2, 3]);
    });

    test('by the number of a commit, whoever made it', async () => {
      const keep = { last: 2, every: 3 };
      await live(4, { keep });
      await live(4, { keep });
      expect(await kept()).toEqual([3, 6, 7, 8]);
      await live(0, { keep: { last: 2, every: 6 } });
      expect(await kept()).toEqual([6, 7, 8]);
      await live(0);
      expect(await kept()).toEqual([7, 8]);
      await live(3, { keep: { last: 2, every: 1 } });
      expect(await kept()).toEqual([7, 8, 9, 10, 11]);
    });

    test('without a commit, and before one: a run that is done, or whose disk is full', async () => {
      await live(5, { keep: { last: 5, every: null } });
      const committer = await open({ keep: newestTwo });
      await recover({ committer });
      committer.collect();
      await committer.close();
      expect(await kept()).toEqual([4, 5]);
    });

    test('but not the oldest that can still be replayed from, which moves as inputs are removed', async () => {
      await log.createTopic('images', { partitions: 2 });
      const value = Buffer.from('x');
      for (const partition of [0, 1])
        await log.append(
          'images',
          Array.from({ length: 40 }, () => ({ value, partition })),
        );
      // The commit of step s reads on at offset 2s + 2 of partition 0; of partition 1 its window needs 2s already.
      await live(6, { inputs: log });
      expect(await kept()).toEqual([1, 5, 6]);
      await forget('images', 4);
      await live(1, { inputs: log });
      expect(await kept()).toEqual([1, 6, 7]);
      await forget('images', 5);
      await live(0, { inputs: log });
      expect(await kept()).toEqual([6, 7]);
      await live(3, { inputs: log });
      expect(await kept()).toEqual([6, 9, 10]);
    });

    test('after a fallback only once the next commit has given the damaged one up', async () => {
      const second = { ...SCENARIO, lineage: 1 };
      await live(5, { keep: { last: 3, every: null } });
      const path = await blobPath(await readState(run()), 'model');
      const bytes = await readFile(path);
      await unlink(path);
      const before = await names();
      await live(0, {}, SCENARIO, true);
      expect(await names()).toEqual(before);
      await writeFile(path, bytes); // found again: the commit is whole, and nothing else of it was removed meanwhile
      expect(await kept()).toEqual([3, 4, 5]);
      await unlink(path);
      await live(1, {}, second, true);
      const of = (step: number) => (step <= 4 ? SCENARIO : second);
      expect(await kept(of)).toEqual([4, 6]);
      expect(new Set((await store.list()).map(({ sha256 }) => sha256)).size).toBe(2 * 2 + 1);
    });

    test('a damaged commit among the newest keeps what is left of it', async () => {
      await live(3, { keep: { last: 3, every: null } });
      await unlink(await blobPath(await readState(run(), { generation: 2 }), 'model'));
      await live(0, { keep: { last: 3, every: null } });
      const { commit } = await readState(run(), { generation: 2 }, { blobs: ['optimizer'], queue: false });
      expect(commit.generation).toBe(2);
    });

    test('what a failed attempt had put already, once a commit is made', async () => {
      let broken = false;
      const flaky: BlobStore = {
        ...store,
        put(content, owner) {
          if (broken && content.bytes < 1_000) throw new RepulsorError('STORE_FAILED', 'no space left', { hint: '-' });
          return store.put(content, owner);
        },
      };
      const committer = await openCommitter(settings(log, flaky, { keep: newestTwo }));
      const progress = freshProgress(SCENARIO);
      for (let i = 0; i < 2; i++) await trainAndCommit(SCENARIO, committer, progress, 1);
      broken = true;
      const request = advance(SCENARIO, progress, 1);
      const other = { ...request, state: { ...request.state, another: stateAt(SCENARIO, 99)['model']! } };
      await expect(committer.commit(other)).rejects.toMatchObject({ code: 'STORE_FAILED' });
      broken = false;
      await committer.commit(request);
      await committer.close();
      expect(await kept()).toEqual([2, 3]);
      expect((await names()).length).toBe(2 * 2 + 1);
    });

    test('a store that cannot remove is told of, and the commits stand', async () => {
      const told: RepulsorError[] = [];
      let broken = true;
      const stubborn: BlobStore = {
        ...store,
        async remove(owned) {
          if (broken) throw new RepulsorError('STORE_FAILED', 'access is denied', { hint: 'allow it' });
          await store.remove(owned);
        },
      };
      const onWarning = (error: RepulsorError) => void told.push(error);
      for (const commits of [4, 1]) {
        const committer = await openCommitter(settings(log, stubborn, { keep: newestTwo, onWarning }));
        const progress = progressFrom(SCENARIO, await recover({ committer }));
        for (let i = 0; i < commits; i++) await trainAndCommit(SCENARIO, committer, progress, 1);
        await committer.close();
        broken = false;
      }
      expect(told.map(({ code }) => code)).toEqual(['STORE_FAILED', 'STORE_FAILED']);
      expect(await kept()).toEqual([4, 5]);
    });

    test('a store out of reach is told before anybody is fenced', async () => {
      const { committer, progress } = await made(SCENARIO, 1);
      const list = () => Promise.reject(new RepulsorError('STORE_FAILED', 'no such bucket', { hint: 'make it' }));
      await expect(openCommitter(settings(log, { ...store, list }))).rejects.toMatchObject({ code: 'STORE_FAILED' });
      await trainAndCommit(SCENARIO, committer, progress, 1);
      await committer.close();
    });
  });

  test('the newest commit that is not past a step is found, without fencing anyone', async () => {
    const { committer, progress } = await made(SCENARIO, 2, 2, 2);
    expect((await readState({ log, store, run: 'scenario' }, { step: 5 })).commit.step).toBe(4);
    const model = await readState({ log, store, run: 'scenario' }, {}, { blobs: ['optimizer'], queue: false });
    expect([Object.keys(model.state), model.queue]).toEqual([['optimizer'], null]);
    await trainAndCommit(SCENARIO, committer, progress, 1);
    await committer.close();
    await expectLogExact(log);
  });

  describe('the journal', () => {
    const topic = runTopics('scenario').journal;

    test('tells the committed steps of any range', async () => {
      const { committer } = await made(SCENARIO, 2, 3, 0, 2);
      await committer.close();
      const lineage = () => openLineage(log, runTopics('scenario').commits);
      const steps = async (range: object) => {
        const found: number[] = [];
        for await (const entry of readJournal(log, topic, lineage(), range)) found.push(entry.step);
        return found;
      };
      expect(await steps({})).toEqual([1, 2, 3, 4, 5, 6, 7]);
      expect(await steps({ first: 2, last: 4 })).toEqual([2, 3, 4]);
      expect(await steps({ first: 6 })).toEqual([6, 7]);
      expect(await steps({ index: 2, first: 4 })).toEqual([4, 5]);
      expect(await steps({ first: 8 })).toEqual([]);
    });

    test('leaves out the steps that a fallback gave up', async () => {
      const { committer } = await made(SCENARIO, 2, 3);
      await committer.close();
      await unlink(await blobPath(await readState({ log, store, run: 'scenario' }), 'model'));
      const second = { ...SCENARIO, lineage: 1 };
      const next = await open();
      await trainAndCommit(second, next, progressFrom(second, await recover({ committer: next, fallback: true })), 2);
      await next.close();
      const totals: number[] = [];
      for await (const { terms } of readJournal(log, topic, openLineage(log, runTopics('scenario').commits)))
        totals.push(terms['total']!);
      expect(totals).toEqual([1, 2, 3 + 1 / 8, 4 + 1 / 8]);
      expect(await verifyRun({ log, store, run: 'scenario' })).toEqual({
        commits: 3,
        lineage: 2,
        steps: 4,
        states: [4, 2],
      });
    });

    test('is verified to its beginning, with the commits and the states', async () => {
      const { committer } = await made(SCENARIO, 2, 3);
      await committer.close();
      const run = { log, store, run: 'scenario' };
      expect(await verifyRun(run)).toEqual({ commits: 2, lineage: 2, steps: 5, states: [5, 2] });
      const path = async (generation: number) => blobPath(await readState(run, { generation }), 'model');
      const [old, newest] = [await path(1), await path(2)];
      await unlink(old);
      expect(await verifyRun(run)).toMatchObject({ states: [5] });
      await unlink(newest);
      await expect(verifyRun(run)).rejects.toMatchObject({ code: 'STATE_MISSING' });
    });
  });

  test('the commit record says under what it was made', async () => {
    const { committer } = await made(SCENARIO, 1);
    await committer.close();
    const { commit } = await readState({ log, store, run: 'scenario' });
    expect(commit).toMatchObject({
      run: 'scenario',
      seed: 1,
      engine: 'none',
      formatVersion: 1,
      epoch: committer.epoch,
    });
    expect(JSON.parse(commit.config)).toEqual(CONFIG);
    expect(decode('commit', encode('commit', commit))).toEqual(commit);
  });
}
