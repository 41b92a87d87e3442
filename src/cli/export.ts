import { type Command, Option } from 'commander';
import { openConsole } from './console.ts';

export interface ExportOptions {
  readonly format: 'safetensors' | 'pt-names';
  readonly weights: 'ema' | 'model' | 'both';
  readonly out: string;
  readonly log?: string;
  readonly json?: boolean;
}

export function addExport(program: Command): void {
  program
    .command('export')
    .description("write a run's weights under the official names and in the official shapes")
    .argument('<run>', 'the run folder')
    .addOption(
      new Option('--format <name>', 'safetensors, or pt-names: a checkpoint that torch.load reads')
        .choices(['safetensors', 'pt-names'])
        .default('safetensors'),
    )
    .addOption(
      new Option('--weights <which>', 'the averaged ones, the trained ones, or both as "ema" and "model"')
        .choices(['ema', 'model', 'both'])
        .default('ema'),
    )
    .requiredOption('--out <file>', 'the file to write')
    .option('--log <url>', 'the log that holds the run, when it moved')
    .option('--json', 'one JSON object as the last line')
    .addHelpText('after', '\nExample:\n  repulsor export runs/digits --format safetensors --out digits.safetensors')
    .action(async (folder: string, options: ExportOptions) => {
      const { exportRun } = await import('./export-run.ts');
      await exportRun(folder, options, openConsole(options.json ?? false));
    });
}
