import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import type { ChildServer } from '../scripts/child-server.ts';
import { wholeNumber } from '../src/cli/options.ts';
import { digits } from '../src/ingest/digits.ts';
import { ingest } from '../src/ingest/ingest.ts';
import { openLog } from '../src/log/open-log.ts';
import { type Benchmark, type BenchmarkResult, type Goal, goal } from './benchmark.ts';
import { runChild } from './child.ts';
import { TOPIC } from './commit/pipeline.ts';
import type { RecoveryFigures, RecoveryTask } from './commit/recovery-process.ts';
import type { TrainingFigures, TrainingTask } from './commit/training-process.ts';
import { measureTransactions, type TransactionFigures } from './commit/transactions.ts';
import type { Spread } from './spread.ts';
import { megabytes, short } from './table.ts';

const MINUTE = 60;

interface CommitOptions {
  readonly size: readonly number[];
  readonly commits: number;
  readonly everySteps: number;
  readonly rounds: number;
  readonly log?: string;
  readonly store?: string;
  readonly dir: string;
}

export const benchmark: Benchmark = {
  summary: 'what a commit costs a real training, and how long its recovery takes',
  options: (command) =>
    command
      .option('--size <list>', 'bytes of state', sizes, [10e6, 100e6, 1e9])
      .option('--commits <n>', 'commits measured for each size', wholeNumber(1), 4)
      .option('--every-steps <n>', 'steps from one commit to the next', wholeNumber(2), 16)
      .option('--rounds <n>', 'turns of recovery and plain reading', wholeNumber(1), 3)
      .option(
        '--log <url>',
        'kafka://host:port,..., or "kafka" for a broker of its own; default: a file log beside the blobs',
      )
      .option('--store <url>', 's3://bucket/prefix, or "s3" for a server of its own; default: a folder')
      .option('--dir <folder>', 'where blobs and the file log are written, and removed again', tmpdir())
      .addHelpText('after', '\nExample:\n  npm run bench -- commit --size 10MB --commits 2 --json'),
  run: (options, note) => measure(options as unknown as CommitOptions, note),
};

function sizes(text: string): number[] {
  return text.split(',').map((part) => {
    const match = /^(\d+(?:\.\d+)?)(MB|GB)$/.exec(part.trim());
    if (match === null) throw new InvalidArgumentError('Give sizes such as 10MB,1GB.');
    return Number(match[1]) * (match[2] === 'GB' ? 1e9 : 1e6);
  });
}

/** Starts what `--log kafka` and `--store s3` ask for, and ends it afterwards. */
async function measure(options: CommitOptions, note: (line: string) => void): Promise<BenchmarkResult> {
  const servers: ChildServer[] = [];
  try {
    let { log, store } = options;
    if (log === 'kafka') {
      const { startBroker } = await import('../scripts/kafka/broker.ts');
      const broker = await startBroker({ say: note });
      servers.push(broker);
      log = broker.url;
    }
    if (store === 's3') {
      const { startS3Server } = await import('../scripts/versitygw.ts');
      const server = await startS3Server({ say: note });
      servers.push(server);
      Object.assign(process.env, server.environment);
      store = `s3://${server.bucket}`;
    }
    return await measureOn({ ...options, ...(log && { log }), ...(store && { store }) }, note);
  } finally {
    for (const server of servers) await server.stop();
  }
}

async function measureOn(options: CommitOptions, note: (line: string) => void): Promise<BenchmarkResult> {
  let transactions: TransactionFigures | null = null;
  if (options.log?.startsWith('kafka:')) {
    note('transactions ...');
    transactions = await measureTransactions(options.log, options.rounds);
  }
  const measured: { training: TrainingFigures; recovery: RecoveryFigures }[] = [];
  for (const bytes of options.size) {
    note(`state of ${megabytes(bytes)}: training ...`);
    measured.push(await measureSize(bytes, options, note));
  }
  return {
    figures: { log: options.log ?? 'file', store: options.store ?? 'folder', states: measured, transactions },
    goals: { ...goalsOf(measured), ...(transactions && transactionGoals(transactions)) },
    tables: [...tablesOf(measured), ...(transactions === null ? [] : [transactionTable(transactions)])],
  };
}

async function measureSize(bytes: number, options: CommitOptions, note: (line: string) => void) {
  const folder = await mkdtemp(join(options.dir, 'repulsor-bench-'));
  try {
    const run = `bench-${randomUUID().slice(0, 8)}`;
    const log = options.log ?? `file:${join(folder, 'log')}`;
    await fillTopic(log);
    const { commits, everySteps, rounds } = options;
    const store = options.store === undefined ? join(folder, 'blobs') : `${options.store}/${run}`;
    const place = { log, store, run, bytes, everySteps };
    const training = await runChild<TrainingFigures>(new URL('commit/training-process.ts', import.meta.url), {
      ...place,
      commits,
    } satisfies TrainingTask);
    note(`state of ${megabytes(training.state_bytes)}: recovery ...`);
    const recovery = await runChild<RecoveryFigures>(new URL('commit/recovery-process.ts', import.meta.url), {
      ...place,
      rounds,
    } satisfies RecoveryTask);
    return { training, recovery };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function fillTopic(url: string): Promise<void> {
  const log = await openLog(url);
  try {
    if (!(await log.topics()).includes(TOPIC)) {
      await log.createTopic(TOPIC);
      await ingest(log, TOPIC, digits(), { batch: 100, time: 0 });
    }
  } finally {
    await log.close();
  }
}

type Measured = readonly { readonly training: TrainingFigures; readonly recovery: RecoveryFigures }[];

/** Goals are of the largest state, where each of them is hardest; what must hold for every state is its worst. */
function goalsOf(measured: Measured): Record<string, Goal> {
  const { training, recovery } = measured.at(-1)!;
  const unchanged = Math.max(...measured.map((size) => size.recovery.unchanged.bytes_written));
  return {
    stall_share_at_a_commit_a_minute: goal(training.stall_seconds.median / MINUTE, '<=', 0.01),
    unchanged_bytes_written: goal(unchanged, '<=', 0),
    recovery_over_plain_reading_warm: goal(recovery.warm.ratio.median, '<=', 2),
    ...(recovery.cold && { recovery_over_plain_reading_cold: goal(recovery.cold.ratio.median, '<=', 2) }),
    ...(training.extra_memory_share !== null && {
      commit_memory_over_state: goal(training.extra_memory_share, '<=', 1.05),
    }),
  };
}

const ms = ({ median, min, max }: Spread): string =>
  `${short(median * 1e3)} (${short(min * 1e3)}..${short(max * 1e3)})`;
const share = (value: number | null): string => (value === null ? '-' : short(value));

function tablesOf(measured: Measured) {
  return [
    {
      title: 'A commit beside training: milliseconds, median (least..most) over commits',
      columns: [
        'state',
        'step',
        'stall',
        'slowdown',
        'commit',
        'written',
        'main thread blocked',
        'without',
        'memory / state',
      ],
      rows: measured.map(({ training: t }) => [
        megabytes(t.state_bytes),
        ms(t.quiet_step_seconds),
        ms(t.stall_seconds),
        ms(t.slowdown_seconds),
        ms(t.commit_seconds),
        megabytes(t.bytes_written.median),
        ms(t.blocked_seconds),
        ms(t.quiet_blocked_seconds),
        share(t.extra_memory_share),
      ]),
    },
    {
      title: 'Recovery against plainly reading and hashing the same files: milliseconds, and the ratio in turns',
      columns: [
        'state',
        'plain',
        'recovery',
        'ratio',
        'cold plain',
        'cold recovery',
        'cold ratio',
        'blocked',
        'memory / state',
      ],
      rows: measured.map(({ training, recovery: { warm, cold, memory_share, blocked_seconds } }) => [
        megabytes(training.state_bytes),
        ms(warm.plain_seconds),
        ms(warm.recovery_seconds),
        share(warm.ratio.median),
        cold === null ? '-' : ms(cold.plain_seconds),
        cold === null ? '-' : ms(cold.recovery_seconds),
        share(cold?.ratio.median ?? null),
        short(blocked_seconds * 1e3),
        share(memory_share),
      ]),
    },
    {
      title: 'A commit of an unchanged state',
      columns: ['state', 'bytes written', 'ms'],
      rows: measured.map(({ training, recovery: { unchanged } }) => [
        megabytes(training.state_bytes),
        unchanged.bytes_written,
        unchanged.seconds * 1e3,
      ]),
    },
  ];
}

/** 15 ms is what kafkajs itself takes with its first retry after 5 ms, on the machine that these goals were set on. */
function transactionGoals(figures: TransactionFigures): Record<string, Goal> {
  return {
    transaction_seconds: goal(figures.ours_seconds.median, '<=', 0.015),
    transaction_over_kafkajs_default: goal(figures.ratio_to_default.median, '<=', 0.1),
    transaction_over_kafkajs_tuned: goal(figures.ratio_to_tuned.median, '<=', 1),
  };
}

function transactionTable(figures: TransactionFigures) {
  const { ours_seconds, kafkajs_default_seconds, kafkajs_tuned_seconds, ratio_to_default, ratio_to_tuned } = figures;
  return {
    title: 'A transaction over two topics with 128 KB, back to back: milliseconds, and ours over each in turns',
    columns: ['', 'ms', 'ours over it'],
    rows: [
      ['ours', ms(ours_seconds), ''],
      ['kafkajs, default', ms(kafkajs_default_seconds), ratio_to_default.median],
      ['kafkajs, first retry after 5 ms', ms(kafkajs_tuned_seconds), ratio_to_tuned.median],
    ],
  };
}
