import { type Command, Option } from 'commander';
import { ENGINE_WISHES, type EngineWish } from '../engine/engine.ts';
import { openRun } from '../trainer/open-run.ts';
import { openConsole } from './console.ts';
import { nonNegative, wholeNumber } from './options.ts';

export interface ReplayOptions {
  readonly from?: number;
  readonly to?: number;
  readonly tolerance?: number;
  readonly engine?: EngineWish;
  readonly threads?: number;
}

export function addReplay(program: Command): void {
  program
    .command('replay')
    .description('train a run again from its journal, and name the first step that differs, or that none does')
    .argument('<run>', 'the run folder')
    .option(
      '--from <step>',
      'begin at the newest commit at or before it whose weights are kept (default: where the run began)',
      wholeNumber(0),
    )
    .option('--to <step>', 'the last step (default: the newest committed one)', wholeNumber(1))
    .option(
      '--tolerance <x>',
      'compare by value instead of bit for bit: deviations up to x, relative for numbers over 1, are none',
      nonNegative,
    )
    .addOption(
      new Option('--engine <name>', 'the engine (default: the one that the run recorded)').choices(
        ENGINE_WISHES.filter((wish) => wish !== 'auto'),
      ),
    )
    .option('--threads <n>', 'threads of the native engine (default: as many as the run recorded)', wholeNumber(1))
    .option('--log <url>', 'the log that holds the run and its inputs, when they moved, or a copy of it')
    .option('--json', 'one JSON object as the last line')
    .addHelpText(
      'after',
      `
Exit status: 0 identical, or within the tolerance; 1 diverged; 4 something that is needed is missing or damaged.

Examples:
  repulsor replay runs/digits --json
  repulsor replay runs/digits --engine wasm --to 2 --tolerance 1e-3`,
    )
    .action(async (folder: string, options: ReplayOptions & { log?: string; json?: boolean }) => {
      const console = openConsole(options.json ?? false);
      const run = await openRun(folder, options.log);
      try {
        const { replayRun } = await import('./replay-run.ts');
        process.exitCode = await replayRun(run, options, console);
      } finally {
        await run.log.close();
      }
    });
}
