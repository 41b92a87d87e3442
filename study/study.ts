import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { formatTable } from '../bench/table.ts';
import { type Console, openConsole, tellError } from '../src/cli/console.ts';
import { wholeNumber } from '../src/cli/options.ts';
import { EXIT, RepulsorError } from '../src/errors.ts';
import { measureStepTimes } from './study/measure-step-times.ts';
import { fillPage, reportOf, writeReport } from './study/report.ts';
import { filesOf, readResults, runStudy } from './study/run-study.ts';
import { SET_NAMES, SETS, type SetName } from './study/sets.ts';
import { storedStepTimes, storeStepTimes } from './study/step-times.ts';
import { stepTimeTable } from './study/tables.ts';

interface Options {
  readonly sets: SetName[];
  readonly digitsSteps: number;
  readonly emojiSteps: number;
  readonly seeds: number;
  readonly marks: number;
  readonly samples: number;
  readonly jobs: number;
  readonly threads?: number;
  readonly out: string;
  readonly time?: boolean;
  readonly report?: boolean;
  readonly page?: string;
  readonly quick?: boolean;
  readonly json?: boolean;
}

const QUICK = { digitsSteps: 20, emojiSteps: 10, seeds: 1, marks: 2, samples: 20 };
const TURNS = { rounds: 11, stepsATurn: 20 };
const QUICK_TURNS = { rounds: 2, stepsATurn: 2 };

const program = new Command('study')
  .description('does repulsion help? plain, dispersive and Repulsor in several settings, at equal steps and equal time')
  .option('--sets <list>', `of ${SET_NAMES.join(', ')}`, setList, [...SET_NAMES])
  .option('--digits-steps <n>', 'of each run on the digits', wholeNumber(1), SETS.digits.steps)
  .option('--emoji-steps <n>', 'of each run on the emoji', wholeNumber(1), SETS.emoji.steps)
  .option('--seeds <n>', 'runs of each variant', wholeNumber(1), 3)
  .option('--marks <n>', 'times that a run is measured, the last at its end', wholeNumber(1), 4)
  .option('--samples <n>', 'drawn for each measure', wholeNumber(2), 1_000)
  .option('--jobs <n>', 'runs at a time', wholeNumber(1), 2)
  .option('--threads <n>', 'of each (default: its share of the cores)', wholeNumber(1))
  .option('--out <dir>', 'holds the log, the runs and the results', 'runs/study')
  .option('--time', 'only measure what a step of each variant takes, in turns, and keep it')
  .option('--report', 'only write the tables and plots of what there is')
  .option('--page <file>', 'with --report: into the marked places of a page, the plots into images/ beside it')
  .option('--quick', 'see that it works: a few steps, one seed')
  .option('--json', 'one JSON object as the last line')
  .addHelpText(
    'after',
    `
Cut off, the same command goes on. Examples:
  npm run study -- --quick --sets digits --out runs/study-quick
  npm run study -- --time --out runs/study-quick
  npm run study -- --report --out runs/study-quick`,
  )
  .action(async (options: Options) => {
    const given = { ...options, ...(options.quick && QUICK) };
    const console = openConsole(options.json ?? false);
    if (given.time) await time(given, console);
    else if (given.report) await report(given, console);
    else process.exitCode = await study(given, console);
  });

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = tellError(error, process.argv.includes('--json'));
}

async function study(options: Options, console: Console): Promise<number> {
  const { sets, digitsSteps, emojiSteps, seeds, marks, samples, jobs, out, quick } = options;
  const status = await runStudy(
    {
      ...{ seeds, marks, samples, jobs, out, threads: threadsOf(options) },
      sets: sets.map((name) => SETS[name]),
      steps: { digits: digitsSteps, emoji: emojiSteps },
      times: quick ? QUICK_TURNS : TURNS,
    },
    console,
  );
  if (status === EXIT.interrupted) console.result({ interrupted: true, ...filesOf(out) }, '');
  else await report(options, console);
  return status;
}

async function time(options: Options, console: Console): Promise<void> {
  const { sets, out, quick } = options;
  const { times: file } = filesOf(out);
  const how = { ...(quick ? QUICK_TURNS : TURNS), threads: threadsOf(options), note: console.note };
  const measured = await measureStepTimes(
    sets.map((name) => SETS[name]),
    how,
  );
  await mkdir(out, { recursive: true });
  await storeStepTimes(file, measured);
  console.result({ file, ...measured }, sets.map((set) => formatTable(stepTimeTable(measured, set))).join('\n\n'));
}

async function report({ out, page }: Options, console: Console): Promise<void> {
  const files = filesOf(out);
  const measured = await readResults(files.results);
  if (measured.length === 0)
    throw new RepulsorError('USAGE', `there are no results in ${files.results}`, {
      hint: 'name the folder of a study with --out',
    });
  const found = reportOf(measured, await storedStepTimes(files.times), page === undefined ? '' : 'images/');
  const written = page === undefined ? await writeReport(out, found) : await fillPage(page, found);
  const result = { interrupted: false, ...files, report: written, measurements: measured.length };
  console.result(result, [...found.sections.values(), `report: ${written}`].join('\n\n'));
}

/** A step of one thread takes the same processor time whatever else runs. */
function threadsOf({ threads, jobs }: Options): number {
  return threads ?? Math.max(1, Math.floor(availableParallelism() / jobs));
}

function setList(text: string): SetName[] {
  const names = text.split(',').map((name) => name.trim());
  const strange = names.find((name) => !SET_NAMES.includes(name as SetName));
  if (strange !== undefined)
    throw new InvalidArgumentError(`There is no ${strange}; there are ${SET_NAMES.join(', ')}.`);
  return names as SetName[];
}
