import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openCommitter } from '../src/checkpoint/commit.ts';
import { keysDigest, ZERO_DIGEST } from '../src/checkpoint/digest.ts';
import { openFolderStore } from '../src/checkpoint/folder-store.ts';
import { journalEntry } from '../src/checkpoint/journal.ts';
import { createRunFolder } from '../src/checkpoint/run-folder.ts';
import { loadPipeline } from '../src/cli/load-pipeline.ts';
import { wholeNumber } from '../src/cli/options.ts';
import type { StepJournal } from '../src/codec/records.ts';
import { openLog } from '../src/log/open-log.ts';
import { NOWHERE } from '../src/operators/position.ts';
import { type Benchmark, type BenchmarkResult, goal } from './benchmark.ts';
import { megabytes, short } from './table.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

interface LineageOptions {
  readonly steps: number;
  readonly batch: number;
  readonly everySteps: number;
  readonly records: number;
  readonly queries: number;
  readonly dir: string;
}

export const benchmark: Benchmark = {
  summary: 'how long the lineage index takes to build, how large it is, how fast `inspect --record` answers',
  options: (command) =>
    command
      .option('--steps <n>', 'journal entries', wholeNumber(1), 1_000_000)
      .option('--batch <n>', 'images a step', wholeNumber(1), 32)
      .option('--every-steps <n>', 'steps from one commit to the next', wholeNumber(1), 1000)
      .option('--records <n>', 'records of 100 images that the steps draw from', wholeNumber(1), 20_000)
      .option('--queries <n>', 'commands run, each a process of its own', wholeNumber(1), 5)
      .option('--dir <folder>', 'where the run is written, and removed again', tmpdir())
      .addHelpText('after', '\nExample:\n  npm run bench -- lineage --steps 20000 --json'),
  run: (options, note) => measure(options as unknown as LineageOptions, note),
};

const IMAGES = 100;
const MOST_SECONDS = 2;

async function measure(options: LineageOptions, note: (line: string) => void): Promise<BenchmarkResult> {
  const scratch = await mkdtemp(join(options.dir, 'repulsor-lineage-'));
  try {
    const folder = await writeRun(scratch, options, note);
    note('building the index: the first query');
    const build = await ask(folder, `images/0/${Math.floor(options.records / 2)}`);
    const records: Answer[] = [];
    const steps: Answer[] = [];
    for (let i = 0; i < options.queries; i++) {
      const offset = Math.floor(((i + 0.3) * options.records) / options.queries);
      records.push(await ask(folder, `images/0/${offset}`));
      records.push(await ask(folder, `images/0/${offset}/7`));
      steps.push(await askStep(folder, 1 + Math.floor(((i + 0.5) * options.steps) / options.queries)));
    }
    const index_bytes = await folderBytes(join(folder, 'lineage'));
    const slowest = Math.max(...[...records, ...steps].map(({ seconds }) => seconds));
    const figures = {
      steps: options.steps,
      postings: options.steps * options.batch,
      first_query_seconds: build.seconds,
      first_query_cpu_seconds: build.cpuSeconds,
      first_query_peak_rss_bytes: build.peakRss,
      index_bytes,
      journal_bytes: await folderBytes(join(scratch, 'log')),
      record_query_seconds: records.map(({ seconds }) => seconds),
      record_query_cpu_seconds: records.map(({ cpuSeconds }) => cpuSeconds),
      step_query_seconds: steps.map(({ seconds }) => seconds),
      step_query_cpu_seconds: steps.map(({ cpuSeconds }) => cpuSeconds),
    };
    return {
      figures,
      goals: { query_seconds: goal(slowest, '<=', MOST_SECONDS) },
      tables: [
        {
          title: `Lineage of ${options.steps} steps of ${options.batch} images`,
          columns: ['', ''],
          rows: [
            ['first query, which builds the index', `${short(build.seconds)} s`],
            ['its peak memory', megabytes(build.peakRss)],
            ['index', megabytes(index_bytes)],
            ['log', megabytes(figures.journal_bytes)],
            ['slowest query of a record, the whole command', `${short(Math.max(...figures.record_query_seconds))} s`],
            ['slowest query of a step, the whole command', `${short(Math.max(...figures.step_query_seconds))} s`],
          ],
        },
      ],
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** A run whose journal is written by the committer that trainers use; it has no weights and no queue. */
async function writeRun(scratch: string, options: LineageOptions, note: (line: string) => void): Promise<string> {
  const folder = join(scratch, 'run');
  const log = await openLog(`file:${join(scratch, 'log')}`);
  const id = 'lineage-bench';
  const { blobs } = await createRunFolder(folder, {
    run: id,
    log: log.url,
    pipeline: 'digits',
    created: new Date().toISOString(),
  });
  const config = await loadPipeline(join(ROOT, 'pipelines/digits.ts'), []);
  const store = await openFolderStore(blobs);
  const committer = await openCommitter({ log, store, run: id, seed: 1, config, engine: 'none' });
  const noKeys = keysDigest(new Float32Array(0));
  let digest: Uint8Array = ZERO_DIGEST;
  for (let first = 1; first <= options.steps; first += options.everySteps) {
    const last = Math.min(options.steps, first + options.everySteps - 1);
    const journal: StepJournal[] = [];
    for (let step = first; step <= last; step++) {
      const samples = samplesAt(step, options);
      const terms = { total: 1 / step, flow: 0.5, repulsion: -1 };
      const entry = journalEntry(digest, {
        step,
        samples,
        terms,
        keysDigest: noKeys,
        batchDigest: noKeys,
        archived: [],
      });
      journal.push(entry);
      digest = entry.digest;
    }
    await committer.commit({ step: last, state: {}, position: NOWHERE, journal, negatives: [], queue: null });
    if ((first - 1) % (50 * options.everySteps) === 0) note(`writing the journal: ${last} of ${options.steps} steps`);
  }
  await committer.close();
  await log.close();
  return folder;
}

/** Every image once an epoch, scattered over all records, each epoch in another order. */
function samplesAt(step: number, { batch, records }: LineageOptions) {
  const total = records * IMAGES;
  return Array.from({ length: batch }, (_, i) => {
    const ordinal = (step - 1) * batch + i;
    const at = ((ordinal % total) * 7919 + Math.floor(ordinal / total) * 104_729) % total;
    return { topic: 'images', partition: 0, offset: at % records, index: Math.floor(at / records) };
  });
}

interface Answer {
  readonly seconds: number;
  /** Of the process, start included: what a busy machine does not change. */
  readonly cpuSeconds: number;
  readonly peakRss: number;
}

const ask = (folder: string, record: string): Promise<Answer> => command('inspect', folder, '--record', record);
const askStep = (folder: string, step: number): Promise<Answer> => command('inspect', folder, '--step', `${step}`);

/** The whole command, as a user starts it. What it took it tells itself, at its end. */
async function command(...args: string[]): Promise<Answer> {
  const begun = performance.now();
  const { stderr, stdout } = await run(
    process.execPath,
    [
      '--import',
      `data:text/javascript,${encodeURIComponent(REPORT)}`,
      join(ROOT, 'bin/repulsor.js'),
      ...args,
      '--json',
    ],
    { maxBuffer: 2 ** 28 },
  );
  const seconds = (performance.now() - begun) / 1000;
  JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
  const [, rss, cpu] = /^took (\d+) (\d+)$/m.exec(stderr) ?? [];
  return { seconds, cpuSeconds: Number(cpu) / 1e6, peakRss: 1024 * Number(rss) };
}

const REPORT = `process.on('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  process.stderr.write('\\ntook ' + maxRSS + ' ' + (userCPUTime + systemCPUTime) + '\\n');
});`;

async function folderBytes(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true });
  let bytes = 0;
  for (const name of names) {
    const found = await stat(join(folder, name));
    if (found.isFile()) bytes += found.size;
  }
  return bytes;
}
