import type { Command } from 'commander';
import type { CertifyOptions } from './certifying.ts';
import { openConsole } from './console.ts';
import { asOverrides, loadPipeline } from './load-pipeline.ts';
import { collect, engineOption, wholeNumber } from './options.ts';

/** Fewer would leave no room for a stop between two commits. */
const FEWEST_STEPS = 6;

export function addCertify(program: Command): void {
  program
    .command('certify')
    .description('run a pipeline through crash, fencing and resume trials, in a scratch run, and write a report')
    .argument('<pipeline>', 'a module that exports definePipeline({...}) by default')
    .option('--log <url>', 'the log of the inputs; scratch topics are made there too when it is kafka://')
    .option('--topic <name>', 'the topic of images; may be given more than once', collect)
    .option('--set <path=value>', 'any other setting, by its path; may be given more than once', collect)
    .option('--steps <n>', 'steps of each run', wholeNumber(FEWEST_STEPS), 24)
    .option('--trials <n>', 'how many (default: one of each kind; more add kills at random moments)', wholeNumber(1))
    .option('--seed <n>', 'keys what is left to chance', wholeNumber(0), 1)
    .option('--only <trial>', 'one trial alone, as the report names it')
    .option('--out <file>', 'the HTML report (default: runs/certify-NAME.html of the pipeline)')
    .addOption(engineOption())
    .option('--threads <n>', 'threads of the native engine (default: all cores)', wholeNumber(1))
    .option('--json', 'one JSON object as the last line')
    .addHelpText(
      'after',
      `
Exit status 0: every trial held. 1: one did not, or could not be carried out.

Examples:
  repulsor certify pipelines/digits.ts
  repulsor certify pipelines/digits.ts --seed 7 --only kill-before-rename`,
    )
    .action(async (file: string, options: CertifyOptions) => {
      const { log, topic, set } = options;
      const pipeline = await loadPipeline(file, asOverrides({ log, 'source.topic': topic }, set));
      const { runCertify } = await import('./certifying.ts');
      process.exitCode = await runCertify(pipeline, file, options, openConsole(options.json ?? false));
    });
}
