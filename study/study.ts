import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { openConsole, tellError } from '../src/cli/console.ts';
import { wholeNumber } from '../src/cli/options.ts';
import { EXIT } from '../src/errors.ts';
import { filesOf, runStudy } from './study/run-study.ts';
import { SET_NAMES, SETS, type SetName } from './study/sets.ts';

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
  readonly quick?: boolean;
  readonly json?: boolean;
}

const QUICK = { digitsSteps: 20, emojiSteps: 10, seeds: 1, marks: 2, samples: 20 };

const program = new Command('study')
  .description('does repulsion help? plain, dispersive and Repulsor in several settings, at equal steps and equal time')
  .option('--sets <list>', `of ${SET_NAMES.join(', ')}`, (text) => text.split(',') as SetName[], [...SET_NAMES])
  .option('--digits-steps <n>', 'of each run on the digits', wholeNumber(1), SETS.digits.steps)
  .option('--emoji-steps <n>', 'of each run on the emoji', wholeNumber(1), SETS.emoji.steps)
  .option('--seeds <n>', 'runs of each variant', wholeNumber(1), 3)
  .option('--marks <n>', 'times that a run is measured, the last at its end', wholeNumber(1), 4)
  .option('--samples <n>', 'drawn for each measure', wholeNumber(2), 1_000)
  .option('--jobs <n>', 'runs at a time', wholeNumber(1), 2)
  .option('--threads <n>', 'of each (default: its share of the cores)', wholeNumber(1))
  .option('--out <dir>', 'holds the log, the runs and the results', 'runs/study')
  .option('--quick', 'see that it works: a few steps, one seed')
  .option('--json', 'one JSON object as the last line')
  .addHelpText(
    'after',
    '\nCut off, the same command goes on. Example:\n  npm run study -- --quick --sets digits --out runs/study-quick',
  )
  .action(async (options: Options) => {
    process.exitCode = await study({ ...options, ...(options.quick && QUICK) });
  });

const machine = process.argv.includes('--json');
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = tellError(error, machine);
}

async function study(options: Options): Promise<number> {
  const console = openConsole(options.json ?? false);
  const { sets, digitsSteps, emojiSteps, seeds, marks, samples, jobs, out, quick } = options;
  const threads = options.threads ?? Math.max(1, Math.floor(availableParallelism() / jobs));
  const status = await runStudy(
    {
      ...{ seeds, marks, samples, jobs, threads, out },
      sets: sets.map((name) => SETS[name]),
      steps: { digits: digitsSteps, emoji: emojiSteps },
      times: quick ? { rounds: 2, stepsATurn: 2 } : { rounds: 9, stepsATurn: 10 },
    },
    console,
  );
  console.result({ interrupted: status === EXIT.interrupted, ...filesOf(out) }, '');
  return status;
}
