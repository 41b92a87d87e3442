import { type Command, Option } from 'commander';
import type { EngineName } from '../engine/engine.ts';
import type { GridOptions } from '../sampling/draw-grid.ts';
import { openRun } from '../trainer/open-run.ts';
import { openConsole } from './console.ts';
import { engineOption, finiteNumber, labelList, wholeNumber } from './options.ts';

interface SampleOptions extends GridOptions {
  readonly out?: string;
  readonly engine: EngineName | 'auto';
  readonly log?: string;
  readonly json?: boolean;
}

export function addSample(program: Command): void {
  program
    .command('sample')
    .description("draw a grid of images from a run's averaged weights: one row a label")
    .argument('<run>', 'the run folder')
    .option('--labels <list>', 'classes, such as 0-9 or 3,1,4 (default: all)', labelList)
    .option('--per-label <n>', 'images of each class', wholeNumber(1))
    .option('--out <file>', 'the PNG to write (default: samples-STEP.png in the run folder)')
    .addOption(new Option('--solver <name>', 'the integrator').choices(['euler', 'heun']))
    .option('--steps <n>', 'steps of the solver', wholeNumber(1))
    .option('--guidance <scale>', 'classifier-free guidance; 1 is none', finiteNumber)
    .option('--seed <n>', 'of the noise', wholeNumber(0), 0)
    .addOption(engineOption())
    .option('--log <url>', 'the log that holds the run, when it moved')
    .option('--json', 'one JSON object as the last line')
    .addHelpText('after', '\nExample:\n  repulsor sample runs/digits --labels 0-9 --per-label 10 --out grid.png')
    .action(async (folder: string, options: SampleOptions) => {
      const console = openConsole(options.json ?? false);
      const run = await openRun(folder, options.log);
      try {
        const { drawRun } = await import('./draw-run.ts');
        await drawRun(run, options, console);
      } finally {
        await run.log.close();
      }
    });
}
