import type { Command } from 'commander';
import { RepulsorError } from '../errors.ts';
import type { TrainedRecord } from '../lineage/lineage-index.ts';
import { openLog } from '../log/open-log.ts';
import { type CommittedRun, openRun } from '../trainer/open-run.ts';
import { type Console, openConsole } from './console.ts';
import { viewQueue } from './inspect/queue.ts';
import { viewRecord } from './inspect/record.ts';
import { viewRun } from './inspect/run.ts';
import { viewStep } from './inspect/step.ts';
import { viewTopic } from './inspect/topic.ts';
import { viewVerification } from './inspect/verification.ts';
import { recordPlace, wholeNumber } from './options.ts';
import type { View } from './view.ts';

interface InspectOptions {
  readonly queue?: boolean;
  readonly at?: number;
  readonly out?: string;
  readonly step?: number;
  readonly record?: TrainedRecord;
  readonly verify?: boolean;
  readonly config?: boolean;
  readonly topic?: string;
  readonly log?: string;
  readonly json?: boolean;
}

export function addInspect(program: Command): void {
  program
    .command('inspect')
    .description('show what a run has committed, its queue at any committed step, what trained a step, or a topic')
    .argument('[run]', 'the run folder')
    .option('--queue', 'the negative queue, rebuilt from its topic and checked against its recorded digest')
    .option('--at <step>', 'with --queue: as of this committed step (default: the last)', wholeNumber(0))
    .option('--out <file>', 'with --queue: write it as safetensors: rows, labels, steps, pointer, valid')
    .option('--step <n>', 'the records that trained this step', wholeNumber(1))
    .option('--record <place>', 'the steps that a record trained: TOPIC/PARTITION/OFFSET, or .../INDEX', recordPlace)
    .option('--verify', 'read all of it: every commit, the whole journal, the state of each commit that is kept')
    .option('--config', 'show the resolved settings too')
    .option('--topic <name>', 'a topic instead of a run; needs --log')
    .option('--log <url>', 'the log that holds the topic, or the run when it moved')
    .option('--json', 'one JSON object as the last line')
    .addHelpText(
      'after',
      `
Examples:
  repulsor inspect runs/digits
  repulsor inspect --topic digits --log file:runs/log --json
  repulsor inspect runs/digits --queue --out queue.safetensors
  repulsor inspect runs/digits --step 2
  repulsor inspect runs/digits --record digits/0/17
  repulsor inspect runs/digits --verify`,
    )
    .action(async (run: string | undefined, options: InspectOptions) => {
      const console = openConsole(options.json ?? false);
      checkOptions(run, options);
      const { found, text } = run === undefined ? await inspectTopic(options) : await inspectRun(run, options, console);
      console.result(found, text);
    });
}

/** One question at a time. @throws RepulsorError USAGE */
function checkOptions(run: string | undefined, options: InspectOptions): void {
  const usage = (what: string, hint: string) => new RepulsorError('USAGE', what, { hint });
  const example = 'for example: repulsor inspect runs/digits, or repulsor inspect --topic digits --log file:runs/log';
  if ((run === undefined) === (options.topic === undefined))
    throw usage('name either a run folder or a topic (--topic NAME --log URL)', example);
  if (options.topic !== undefined && options.log === undefined) throw usage('--topic needs --log URL', example);
  const asked = QUESTIONS.filter((name) => options[name] !== undefined);
  if (asked.length > 1 || (run === undefined && asked.length > 0))
    throw usage(`--${asked.join(' and --')} cannot be asked ${asked.length > 1 ? 'together' : 'of a topic'}`, example);
  if (options.queue === undefined && (options.at !== undefined || options.out !== undefined))
    throw usage('--at and --out need --queue', 'for example: repulsor inspect runs/digits --queue --at 100');
}

const QUESTIONS = ['queue', 'step', 'record', 'verify', 'config'] as const satisfies readonly (keyof InspectOptions)[];

async function inspectRun(folder: string, options: InspectOptions, { note }: Console): Promise<View> {
  const run = await openRun(folder, options.log);
  try {
    return await viewOf(run, options, note);
  } finally {
    await run.log.close();
  }
}

function viewOf(run: CommittedRun, options: InspectOptions, note: (line: string) => void): Promise<View> {
  if (options.queue) return viewQueue(run, options.at ?? null, options.out ?? null);
  if (options.step !== undefined) return viewStep(run, options.step, note);
  if (options.record !== undefined) return viewRecord(run, options.record, note);
  if (options.verify) return viewVerification(run, note);
  return viewRun(run, options.config ?? false);
}

async function inspectTopic({ topic, log: url }: InspectOptions): Promise<View> {
  const log = await openLog(url!, { create: false });
  try {
    return await viewTopic(log, topic!);
  } finally {
    await log.close();
  }
}
