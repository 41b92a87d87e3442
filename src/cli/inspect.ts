import type { Command } from 'commander';
import { runTopics } from '../checkpoint/run-id.ts';
import { openLog } from '../log/open-log.ts';
import { openRun } from '../trainer/open-run.ts';
import { openConsole } from './console.ts';

interface InspectOptions {
  readonly topic?: string;
  readonly log?: string;
  readonly json?: boolean;
}

export function addInspect(program: Command): void {
  program
    .command('inspect')
    .description('show what a run has committed, or what lies in a topic')
    .argument('[run]', 'the run folder')
    .option('--topic <name>', 'a topic instead of a run; needs --log')
    .option('--log <url>', 'the log that holds the topic, or the run when it moved')
    .option('--json', 'one JSON object as the last line')
    .addHelpText(
      'after',
      '\nExamples:\n  repulsor inspect runs/digits\n  repulsor inspect --topic digits --log file:runs/log --json',
    )
    .action(async (run: string | undefined, options: InspectOptions, command: Command) => {
      const console = openConsole(options.json ?? false);
      if ((run === undefined) === (options.topic === undefined))
        command.error('error: name either a run folder or a topic (--topic NAME --log URL)');
      const found =
        run === undefined
          ? await inspectTopic(options.topic!, options.log, command)
          : await inspectRun(run, options.log);
      console.result(found, table(found));
    });
}

async function inspectRun(folder: string, logUrl: string | undefined): Promise<Record<string, unknown>> {
  const { folder: run, log, newest, store } = await openRun(folder, logUrl);
  try {
    const { commit } = newest;
    return {
      run: run.run,
      pipeline: run.pipeline,
      log: log.url,
      topics: runTopics(run.run),
      step: commit.step,
      generation: commit.generation,
      committed: new Date(commit.time).toISOString(),
      samples: commit.position.samples,
      epoch: commit.position.epoch,
      next: commit.position.next,
      queue: {
        rows: Math.min(commit.negatives.count, commit.negatives.capacity),
        capacity: commit.negatives.capacity,
        dim: commit.negatives.dim,
        digest: hex(commit.negatives.digest),
      },
      blobs: commit.blobs,
      store: store.where,
      journalDigest: hex(commit.journalDigest),
      engine: commit.engine,
      seed: commit.seed,
      config: JSON.parse(commit.config),
    };
  } finally {
    await log.close();
  }
}

async function inspectTopic(
  topic: string,
  logUrl: string | undefined,
  command: Command,
): Promise<Record<string, unknown>> {
  if (logUrl === undefined) command.error('error: --topic needs --log URL, for example --log file:runs/log');
  const log = await openLog(logUrl!);
  try {
    const numbers = await log.partitions(topic);
    const partitions = await Promise.all(
      numbers.map(async (partition) => ({ partition, ...(await log.offsets(topic, partition)) })),
    );
    return { topic, log: log.url, partitions };
  } finally {
    await log.close();
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** One line a field; what has parts is shown as JSON. */
function table(found: Record<string, unknown>): string {
  return Object.entries(found)
    .filter(([name]) => name !== 'config')
    .map(([name, value]) => `${name.padEnd(14)} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join('\n');
}
