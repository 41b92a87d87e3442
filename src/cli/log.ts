import type { Command } from 'commander';
import { RepulsorError } from '../errors.ts';
import { openLog } from '../log/open-log.ts';
import { openImageReader } from '../registry/open-image-reader.ts';
import { openConsole } from './console.ts';
import { wholeNumber } from './options.ts';

interface CopyOptions {
  readonly topics?: string;
  readonly run?: string;
  readonly from?: number;
  readonly to?: number;
  readonly json?: boolean;
}

interface ShowOptions {
  readonly partition: number;
  readonly from?: number;
  readonly count: number;
  readonly registry?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  repulsor log list file:runs/log
  repulsor log show file:runs/log digits --count 2
  repulsor log copy file:runs/log file:archive --run runs/digits
  repulsor log copy file:runs/log kafka://localhost:9092 --topics digits`;

export function addLog(program: Command): void {
  const log = program
    .command('log')
    .description('list topics, show records, copy topics between logs')
    .addHelpText('after', EXAMPLES);

  log
    .command('list')
    .description("every topic of a log, with its partitions' offsets")
    .argument('<url>', 'file:DIR or kafka://host:port,...')
    .option('--json', 'one JSON object as the last line')
    .action(async (url: string, options: { json?: boolean }) => {
      const { listTopics } = await import('./log/list.ts');
      const opened = await openLog(url, { create: false });
      try {
        const { found, text } = await listTopics(opened);
        openConsole(options.json ?? false).result(found, text);
      } finally {
        await opened.close();
      }
    });

  log
    .command('show')
    .description('records of a topic, decoded')
    .argument('<url>', 'file:DIR or kafka://host:port,...')
    .argument('<topic>')
    .option('--partition <n>', 'of the topic', wholeNumber(0), 0)
    .option('--from <offset>', 'the first one (default: the earliest there is)', wholeNumber(0))
    .option('--count <n>', 'most records', wholeNumber(1), 10)
    .option('--registry <url>', "the schema registry of image batches that Confluent's serializers wrote")
    .option('--json', 'one JSON object as the last line, with no list shortened')
    .action(async (url: string, topic: string, options: ShowOptions) => {
      const { showRecords } = await import('./log/show.ts');
      const console = openConsole(options.json ?? false);
      const read = openImageReader(options.registry ?? null, { onWarning: console.warn });
      const opened = await openLog(url, { create: false });
      try {
        const { found, text } = await showRecords(opened, topic, options, read);
        console.result(found, text);
      } finally {
        await opened.close();
      }
    });

  log
    .command('copy')
    .description('copy topics to another log with the same offsets, times, keys and headers; run again, it goes on')
    .argument('<source>', 'file:DIR or kafka://host:port,...')
    .argument('<destination>', 'the same')
    .option('--topics <list>', 'names, separated by commas')
    .option('--run <dir>', 'all topics of this run: its inputs, negatives, journal, dead letters and commits')
    .option('--from <offset>', 'with --topics: the first offset wanted of each partition', wholeNumber(0))
    .option('--to <offset>', 'with --topics: one past the last', wholeNumber(1))
    .option('--json', 'one JSON object as the last line')
    .addHelpText('after', EXAMPLES)
    .action(async (source: string, destination: string, options: CopyOptions) => {
      checkCopy(options);
      const { copyLogs } = await import('./log/copy.ts');
      const console = openConsole(options.json ?? false);
      const { found, text } = await copyLogs(source, destination, options, console.note);
      console.result(found, text);
    });
}

/** @throws RepulsorError USAGE */
function checkCopy({ topics, run, from, to }: CopyOptions): void {
  const hint = 'for example: repulsor log copy file:runs/log file:archive --topics digits';
  const named = (topics ?? '').split(',').filter((topic) => topic !== '');
  if (named.length === 0 && run === undefined) throw new RepulsorError('USAGE', 'name --topics or a --run', { hint });
  if (from !== undefined && to !== undefined && to <= from)
    throw new RepulsorError('USAGE', `--to ${to} is not past --from ${from}`, {
      hint: 'Both are offsets; --to is one past the last.',
    });
  if (run !== undefined && (from !== undefined || to !== undefined))
    throw new RepulsorError('USAGE', '--from and --to cut topics, not a run: a part of a run is none', { hint });
}
