import { type Command, InvalidArgumentError } from 'commander';
import { METRICS, type Metric } from '../sweep/results.ts';
import { openConsole } from './console.ts';
import { collect, engineOption, wholeNumber } from './options.ts';
import type { SweepOptions } from './sweeping.ts';

export function addSweep(program: Command): void {
  program
    .command('sweep')
    .description('train a pipeline with every combination of some settings and seeds, and compare them')
    .argument('<pipeline>', 'a module that exports definePipeline({...}) by default')
    .option(
      '--set <path=values>',
      'a setting: with several values, V1,V2,..., the sweep varies it; may be repeated',
      collect,
    )
    .option('--seeds <n>', "runs of each combination, with the pipeline's seed and those after it", wholeNumber(1), 1)
    .option('--steps <n>', 'steps of each run', wholeNumber(1))
    .option('--metrics <list>', `what to compare: ${Object.keys(METRICS).join(', ')}`, metricList)
    .option('--against <reference>', 'for FID and the like: as of evaluate (default: the topic that is trained on)')
    .option('--samples <n>', 'that each run draws for them', wholeNumber(2), 1000)
    .option('--extractor <name>', 'for them: as of evaluate', 'digits')
    .option('--out <dir>', 'holds a folder for each run, and the results (default: runs/sweep-NAME of the pipeline)')
    .option('--jobs <n>', 'runs at a time, each with its share of the threads', wholeNumber(1), 1)
    .option('--log <url>', 'file:DIR or kafka://host:port,...')
    .option('--topic <name>', 'the topic of images; may be given more than once', collect)
    .addOption(engineOption())
    .option('--threads <n>', 'threads of the native engine, of each run', wholeNumber(1))
    .option('--json', 'one JSON object as the last line')
    .addHelpText(
      'after',
      `
A sweep that was cut off goes on with the same command; runs that are done are not trained again.

Examples:
  repulsor sweep pipelines/digits.ts --set losses.repulsion.queue=0,1024,4096,16384 --seeds 3
  repulsor sweep pipelines/digits.ts --set losses.repulsion.form.kind=l2,cosine --steps 20 --jobs 2 --out runs/forms`,
    )
    .action(async (file: string, options: SweepOptions) => {
      const { runSweep } = await import('./sweeping.ts');
      process.exitCode = await runSweep(file, options, openConsole(options.json ?? false));
    });
}

function metricList(text: string): Metric[] {
  const names = text.split(',').map((name) => name.trim());
  const strange = names.find((name) => !Object.hasOwn(METRICS, name));
  if (strange !== undefined)
    throw new InvalidArgumentError(`${strange} is none of ${Object.keys(METRICS).join(', ')}.`);
  return names as Metric[];
}
