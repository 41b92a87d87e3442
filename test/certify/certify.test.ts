import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Certificate } from '../../src/certify/certificate.ts';
import { type CertifyRequest, certify } from '../../src/certify/certify.ts';
import { runTrial } from '../../src/certify/run-trial.ts';
import { openScratch } from '../../src/certify/scratch.ts';
import { fillScratch } from '../../src/certify/scratch-input.ts';
import { trialPipeline } from '../../src/certify/trial-pipeline.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import { builtPackage } from '../built-package.ts';
import { addBadRecords, fillTopic, tinyPipeline } from '../trainer/tiny-run.ts';

/** The trials' processes, as the package has them. */
const CHILD = pathToFileURL(join(await builtPackage(), 'dist/certify/trial-child.js'));

/** The certifier on the tiny pipeline, its processes real; and on parts broken on purpose, which it must find out. */
let folder: string;
let url: string;
/** Where the certifier finds room. */
let scratch: string;
/** Nothing of a log may change by being certified with. */
let untouched: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-certify-test-'));
  scratch = await mkdtemp(join(tmpdir(), 'repulsor-scratch-'));
  process.env.TMPDIR = scratch; // whatever else is certified on this machine meanwhile lies elsewhere
  url = `file:${join(folder, 'log')}`;
  const log = await openLog(url);
  await fillTopic(log);
  await addBadRecords(log);
  await log.close();
  untouched = await namesIn(folder);
});
afterAll(async () => {
  expect(await namesIn(folder)).toBe(untouched);
  for (const made of [folder, scratch]) await rm(made, { recursive: true, force: true });
});

const NONE = {
  commits: [],
  lineage: [],
  steps: [],
  journaled: [],
  negatives: [],
  deadLetters: [],
  state: {},
  queue: null,
};

const namesIn = async (path: string) => (await readdir(path, { recursive: true })).sort().join();

function request(pipeline: Pipeline, over: Partial<CertifyRequest> = {}): CertifyRequest {
  const { signal } = new AbortController();
  return {
    pipeline: { ...pipeline, log: url },
    file: 'tiny.ts',
    broker: null,
    steps: 12,
    trials: null,
    seed: 1,
    only: null,
    child: CHILD,
    engine: 'cpu',
    threads: null,
    repeat: 'tiny.ts --seed 1',
    signal,
    observer: {},
    ...over,
  };
}

const found = ({ trials }: Certificate) => trials.map(({ id, outcome, what }) => ({ id, outcome, what }));

test('a sound pipeline holds in trials of every kind, and nothing is left behind', async () => {
  const told: string[] = [];
  const observer = { onTrial: ({ id }: { id: string }) => void told.push(id) };
  const certificate = await certify(request(tinyPipeline(), { trials: 7, observer }));
  expect(found(certificate).filter(({ outcome }) => outcome !== 'held')).toEqual([]);
  expect(certificate).toMatchObject({
    held: true,
    counts: { held: 7, 'not held': 0, 'not carried out': 0 },
    not_deterministic: null,
    reference: { steps: 12, samples: 84, journal_digest: expect.stringMatching(/^[0-9a-f]{64}$/) },
    input: { records: 10, images: 130, partitions: 2 },
    notes: [],
  });
  expect(new Set(certificate.trials.map(({ group }) => group)).size).toBe(7);
  expect(told).toEqual(certificate.trials.map(({ id }) => id));
  const fenced = certificate.trials.find(({ group }) => group === 'fencing')!;
  expect(fenced.lives.map(({ end }) => end)).toEqual(['fenced', 'done']);
  const settings = certificate.trials.find(({ id }) => id === 'other-settings')!;
  expect(settings.lives.map(({ end }) => end)).toEqual(['stopped', 'refused', 'refused', 'done']);
  expect(await scratches()).toEqual([]);
}, 900_000);

describe('what is broken is found out:', () => {
  const child = new URL('./broken-child.ts', import.meta.url);
  const broken = (name: string, only: string) => certify(request({ ...tinyPipeline(), name }, { only, child }));

  test('an engine with other bits each time, and samples are certified then', async () => {
    const certificate = await broken('noisy', 'kill-before-commit');
    expect(certificate.held).toBe(false);
    expect(certificate.not_deterministic).toMatch(/at step 1 the loss term total is [\d.]+, not [\d.]+/);
    expect(found(certificate)).toMatchObject([
      { id: 'again', outcome: 'not held' },
      { id: 'kill-before-commit', outcome: 'held', what: expect.stringMatching(/^the same samples: 12 steps/) },
    ]);
    expect(certificate.notes.join()).toMatch(/does not give the same bits again here/);
  }, 900_000);

  test.each([
    ['a transaction that is none', 'torn', 'kill-after-journal', /repeated: journal entry of step \d+/],
    [
      'a writer that is not fenced',
      'unfenced',
      'sleep-before-begin',
      /first trainer was not fenced: it ended with .* 0/,
    ],
    ['a record passed over', 'forgetful', 'stop', /lost: sample input\/\d+\/\d+/],
    [
      'a store that checks nothing',
      'trusting',
      'blob-flipped',
      /one bit flipped in .* it ended with status 0; it must end with status 4/,
    ],
  ])(
    '%s',
    async (_what, name, only, what) => {
      const certificate = await broken(name, only);
      expect(certificate.held).toBe(false);
      const [again, trial] = found(certificate).map((t) => `${t.id}: ${t.outcome}: ${t.what}`);
      expect(again).toMatch(/^again: held: identical/);
      expect(trial).toMatch(what);
      expect(trial).toMatch(new RegExp(`^${only}: not held: `));
    },
    900_000,
  );
});

test('a trial whose point never comes was not carried out, and that is not held', async () => {
  const scratch = await openScratch(null);
  try {
    const input = await fillScratch(scratch, { ...tinyPipeline(), log: url }, url, 6);
    const pipeline = trialPipeline(tinyPipeline(), { ...input, log: scratch.url, steps: 6 });
    const point = { at: 'effect', when: 'before', effect: 'link', commit: 1, nth: 1 } as const;
    const plan = { does: 'accidents', accidents: [{ does: 'kill', point }] } as const;
    const stage = { ...request(pipeline), pipeline, reference: NONE, samplesOnly: false, timeoutMs: 600_000 };
    const end = await runTrial({ id: 'x', group: 'crash', plan, lives: 1 }, await scratch.run('x'), stage);
    expect(end).toMatchObject({
      outcome: 'not carried out',
      what: 'it was done before it came to its point, before link of its commit 1',
      lives: [{ from: 0, to: 6, end: 'done' }],
    });
  } finally {
    await scratch.close();
  }
}, 900_000);

test('a trial that does not exist is wrong usage, and those that do are named', async () => {
  const pipeline = tinyPipeline();
  const without = { ...pipeline, losses: { ...pipeline.losses, repulsion: null } };
  await expect(certify(request(without, { only: 'kill-before-negatives' }))).rejects.toMatchObject({
    code: 'USAGE',
    message: 'there is no trial kill-before-negatives',
    hint: expect.stringContaining('kill-before-journal'),
  });
}, 900_000);

test('a pipeline that does not train is no certificate, but its own error', async () => {
  const pipeline = tinyPipeline({ source: { topic: 'nothing' } });
  await expect(certify(request(pipeline))).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
  const wide = tinyPipeline({ operators: { batch: 1_000, badRecords: 0 } });
  await expect(certify(request(wide))).rejects.toMatchObject({
    message: expect.stringMatching(/^the pipeline does not train even uninterrupted.*TOO_MANY_BAD_RECORDS/s),
  });
}, 900_000);

test('aborted, it ends its processes and removes what it made', async () => {
  const stop = new AbortController();
  const observer = { onBegin: () => setTimeout(() => stop.abort(new Error('enough')), 300) };
  await expect(certify(request(tinyPipeline(), { signal: stop.signal, observer }))).rejects.toThrow('enough');
  expect(await scratches()).toEqual([]);
}, 900_000);

const scratches = async (): Promise<string[]> =>
  (await readdir(scratch)).filter((name) => name.startsWith('repulsor-certify-'));
