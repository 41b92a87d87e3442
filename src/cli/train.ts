import { type Command, Option } from 'commander';
import { PRECISIONS } from '../engine/product.ts';
import { parseLogUrl } from '../log/log-url.ts';
import { openConsole } from './console.ts';
import { asOverrides, loadPipeline } from './load-pipeline.ts';
import { collect, engineOption, wholeNumber } from './options.ts';
import type { TrainingOptions } from './training.ts';

interface TrainOptions extends TrainingOptions {
  readonly log?: string;
  readonly topic?: string[];
  readonly store?: string;
  readonly steps?: number;
  readonly seed?: number;
  readonly precision?: string;
  readonly set?: string[];
  readonly metricsPort?: number;
  readonly metricsHost?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function addTrain(program: Command): void {
  program
    .command('train')
    .description('train a pipeline; run again, it goes on after its last commit')
    .argument('<pipeline>', 'a module that exports definePipeline({...}) by default')
    .option('--run <dir>', 'the run folder (default: runs/NAME of the pipeline)')
    .option('--log <url>', 'file:DIR or kafka://host:port,...')
    .option('--topic <name>', 'the topic of images; may be given more than once', collect)
    .option('--store <url>', 's3://BUCKET/PREFIX: where the weights of a new run go (default: its folder)')
    .option('--steps <n>', 'steps in all, those of earlier starts included', wholeNumber(1))
    .option('--seed <n>', 'keys every random number', wholeNumber(0))
    .option('--set <path=value>', 'any other setting, by its path; may be given more than once', collect)
    .addOption(engineOption())
    .option('--threads <n>', 'threads of the native engine (default: all cores)', wholeNumber(1))
    .addOption(
      new Option(
        '--precision <name>',
        'of the matrix products: fp32 (the default), or bf16 where it is faster',
      ).choices(PRECISIONS),
    )
    .option('--force-precision', 'bf16 also where it is slower')
    .option(
      '--metrics-port <n>',
      'port of /metrics; 0 takes a free one (default: 9464, or a free one when that is taken)',
      wholeNumber(0),
    )
    .option('--metrics-host <address>', 'address that /metrics is bound to')
    .option('--from <run[@step]>', 'begin a new run with the weights of another: its newest commit, or that of a step')
    .option('--since <when>', 'begin a new run at an offset, or at a time such as 2026-11-01T00:00Z')
    .option('--fallback', 'where the last commit is damaged, go on from the newest whole one')
    .option('--dry-run', 'print every setting as it would be, checked, and train nothing')
    .option('--json', 'one JSON object as the last line')
    .addHelpText(
      'after',
      `
Examples:
  repulsor train pipelines/digits.ts
  repulsor train pipelines/digits.ts --steps 50 --run runs/try --set optimizer.learningRate=1e-3
  repulsor train pipelines/digits.ts --from runs/try@50 --steps 20 --run runs/tuned`,
    )
    .action(async (file: string, options: TrainOptions) => {
      const pipeline = await loadPipeline(file, overrides(options));
      if (options.dryRun) {
        const settings = { ...pipeline, log: parseLogUrl(pipeline.log).url }; // without secrets
        openConsole(options.json ?? false).result(settings, JSON.stringify(settings, null, 2));
        return;
      }
      // The engine's code is loaded once the settings are right.
      const { runTraining } = await import('./training.ts');
      process.exitCode = await runTraining(pipeline, options, openConsole(options.json ?? false));
    });
}

function overrides(options: TrainOptions): string[] {
  const { log, topic, store, steps, seed, precision, metricsPort, metricsHost, set } = options;
  const metrics = { 'metrics.port': metricsPort, 'metrics.host': metricsHost };
  return asOverrides({ log, 'source.topic': topic, 'commit.store': store, steps, seed, precision, ...metrics }, set);
}
