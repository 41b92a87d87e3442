import { fork } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCommitter } from '../../src/checkpoint/commit.ts';
import { openLineage } from '../../src/checkpoint/commit-history.ts';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { samplesOf } from '../../src/checkpoint/journal.ts';
import { readJournal } from '../../src/checkpoint/read-journal.ts';
import { runTopics } from '../../src/checkpoint/run-id.ts';
import type { StepJournal } from '../../src/codec/records.ts';
import { openLineageIndex } from '../../src/lineage/lineage-index.ts';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { SampleId } from '../../src/operators/position.ts';
import { commitSteps, LINEAGE_RUN, type Made } from './lineage-run.ts';

let folder: string;
let log: Log;
const index = () => join(folder, 'index');
/** With segments of a few hundred postings, so that all that happens to a large index happens to a small one. */
const openIndex = (mostPostings = 300) => openLineageIndex({ folder: index(), log, run: LINEAGE_RUN, mostPostings });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-lineage-'));
  log = await openLog(`file:${join(folder, 'log')}`);
});
afterEach(async () => {
  await log.close();
  await rm(folder, { recursive: true, force: true });
});

async function committer() {
  const store = await openFolderStore(join(folder, 'blobs'));
  return openCommitter({ log, store, run: LINEAGE_RUN, seed: 1, config: {}, engine: 'none' });
}

/** Commits so many steps each time, after the lineage's commit `back` before the newest. */
async function make(commits: readonly number[], salt: number, back = 0): Promise<void> {
  const writer = await committer();
  await writer.continueFrom(back);
  const { parent } = writer;
  let made: Made = { step: parent?.commit.step ?? 0, digest: parent?.commit.journalDigest ?? null };
  for (const steps of commits) made = await commitSteps(writer, made, { steps, batch: 8, salt });
  await writer.close();
}

/** What the journal itself says, read from its beginning. */
async function journal(): Promise<StepJournal[]> {
  const topics = runTopics(LINEAGE_RUN);
  const entries: StepJournal[] = [];
  for await (const entry of readJournal(log, topics.journal, openLineage(log, topics.commits))) entries.push(entry);
  return entries;
}

async function expectRight(open = openIndex): Promise<void> {
  const entries = await journal();
  const found = await open();
  try {
    expect(found.lastStep).toBe(entries.length);
    const places = new Map(
      entries
        .flatMap(samplesOf)
        .map(({ topic, partition, offset }) => [`${topic}/${partition}/${offset}`, { topic, partition, offset }]),
    );
    for (const record of places.values()) {
      expect(await found.stepsOf(record)).toEqual(stepsThatTrained(entries, record));
    }
    for (const entry of entries) {
      const trained = await found.step(entry.step);
      expect(trained.entry).toEqual(entry);
      expect(trained.commit.step).toBeGreaterThanOrEqual(entry.step);
    }
  } finally {
    await found.close();
  }
}

/** The steps that trained any image of the record, found by looking at every entry. */
function stepsThatTrained(entries: readonly StepJournal[], record: Omit<SampleId, 'index'>) {
  const isOf = (sample: SampleId) =>
    sample.topic === record.topic && sample.partition === record.partition && sample.offset === record.offset;
  return entries
    .map((entry) => ({
      step: entry.step,
      indices: samplesOf(entry)
        .filter(isOf)
        .map(({ index }) => index),
    }))
    .filter(({ indices }) => indices.length > 0);
}

const segments = async () => (await readdir(index())).filter((name) => name.endsWith('.segment'));

test('for any commits, in any portions, it says what the journal says', async () => {
  const commits = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(commits, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 400 }),
      async (portions, mostPostings) => {
        await log.close();
        await rm(folder, { recursive: true, force: true });
        log = await openLog(`file:${join(folder, 'log')}`);
        for (const portion of portions) {
          await make(portion, 0);
          await expectRight(() => openIndex(mostPostings));
        }
      },
    ),
    { numRuns: 8, seed: Number(process.env['REPULSOR_TEST_SEED'] ?? 1) },
  );
}, 240_000);

test('a step that is not there, one image, and a record that trained nothing', async () => {
  await make([5], 0);
  const found = await openIndex();
  await expect(found.step(6)).rejects.toMatchObject({ code: 'USAGE', hint: expect.stringContaining('1 to 5') });
  const { topic, partition, offset, index: image } = samplesOf((await found.step(3)).entry)[0]!;
  expect(await found.stepsOf({ topic, partition, offset, index: image })).toContainEqual({ step: 3, indices: [image] });
  expect(await found.stepsOf({ topic, partition, offset: 1e12 })).toEqual([]);
  expect(await found.stepsOf({ topic: 'other', partition, offset })).toEqual([]);
  await found.close();
});

test('it grows: what was indexed is kept, and many small portions become few segments', async () => {
  for (let portion = 0; portion < 20; portion++) {
    await make([3], 0);
    await (await openIndex()).close();
  }
  expect((await segments()).length).toBeLessThan(10);
  await expectRight();
  const before = await segments();
  await (await openIndex()).close();
  expect(await segments()).toEqual(before);
}, 120_000);

test('what a fallback gave up is in it no more, at any depth', async () => {
  await make([20, 20, 20, 20], 0);
  await expectRight();
  for (const [salt, back, commits] of [
    [1, 1, [20]], // ends with the very step that was given up
    [2, 1, [20, 20]],
    [3, 0, [15, 30]],
    [4, 3, [15, 30]],
  ] as const) {
    await make(commits, salt, back);
    await expectRight();
  }
  // And behind a commit that the index has, with no step after it.
  await make([0], 5, 1);
  await expectRight();
}, 120_000);

test('an index of another log is not believed', async () => {
  await make([30, 30, 30], 0);
  await (await openIndex()).close();
  await log.close();
  log = await openLog(`file:${join(folder, 'other')}`);
  await make([40], 7);
  await expectRight();
}, 120_000);

test.each(['a bit', 'a cut', 'a missing file', 'no manifest', 'another version'])(
  'damaged by %s, it is built anew',
  async (damage) => {
    await make([40, 40, 40], 0);
    await (await openIndex()).close();
    const manifest = join(index(), 'index.json');
    for (const name of await segments()) {
      const path = join(index(), name);
      const bytes = await readFile(path);
      if (damage === 'a bit') {
        for (let at = 3; at < bytes.length; at += 97) bytes[at]! ^= 4;
        await writeFile(path, bytes);
      }
      if (damage === 'a cut') await truncate(path, bytes.length - 9);
      if (damage === 'a missing file') await rm(path);
    }
    if (damage === 'no manifest') await writeFile(manifest, '{"formatVersion":1');
    if (damage === 'another version') await writeFile(manifest, JSON.stringify({ formatVersion: 99, segments: [] }));
    await expectRight();
  },
  120_000,
);

test('a flipped bit anywhere in a segment is never part of an answer', async () => {
  await make([25], 0);
  await (await openIndex()).close();
  const [name] = await segments();
  const whole = await readFile(join(index(), name!));
  const manifest = await readFile(join(index(), 'index.json'));
  const entries = await journal();
  const places = [...new Set(entries.flatMap(samplesOf).map((s) => `${s.topic}/${s.partition}/${s.offset}`))];
  const answers = async (found: Awaited<ReturnType<typeof openIndex>>) => {
    const all = [];
    for (const place of places) {
      const [topic, partition, offset] = place.split('/');
      all.push(await found.stepsOf({ topic: topic!, partition: Number(partition), offset: Number(offset) }));
    }
    return all;
  };
  const right = await openIndex();
  const expected = await answers(right);
  await right.close();
  for (let at = 0; at < whole.length; at += 23) {
    const bytes = Buffer.from(whole);
    bytes[at]! ^= 1 << (at % 8);
    await writeFile(join(index(), name!), bytes);
    await writeFile(join(index(), 'index.json'), manifest);
    const found = await openIndex();
    expect(await answers(found)).toEqual(expected);
    expect((await found.step(25)).entry).toEqual(entries[24]);
    await found.close();
  }
}, 240_000);

/** Another process that builds it, in segments of a few postings. */
function builder(): { kill(): void; ended: Promise<number | null> } {
  const script = fileURLToPath(new URL('building-child.ts', import.meta.url));
  const child = fork(script, [join(folder, 'log'), index()], { execArgv: ['--import', 'tsx'], stdio: 'inherit' });
  return {
    kill: () => void child.kill('SIGKILL'),
    ended: new Promise((resolve) => child.on('exit', (code) => resolve(code))),
  };
}

const manyCommits = (count: number): number[] => Array.from({ length: count }, () => 10);

test('two processes build it at once, and both get it right', async () => {
  await make(manyCommits(40), 0);
  const both = [builder(), builder()];
  expect(await Promise.all(both.map(({ ended }) => ended))).toEqual([0, 0]);
  await expectRight(() => openIndex(20));
}, 120_000);

test('killed while it builds, what it had is used and nothing is left behind', async () => {
  await make(manyCommits(60), 0);
  const child = builder();
  while (!(await readdir(index()).catch((): string[] => [])).includes('index.json'))
    await new Promise((resolve) => setTimeout(resolve, 1));
  child.kill();
  expect(await child.ended).toBe(null);
  await expectRight(() => openIndex(20));
  const { segments: named } = JSON.parse(await readFile(join(index(), 'index.json'), 'utf8'));
  expect((await segments()).sort()).toEqual([...named].sort());
}, 120_000);
