import { type Command, Option } from 'commander';
import { SIT_MODELS, type SiTName } from '../model/sizes.ts';
import { openConsole } from './console.ts';
import { collect } from './options.ts';

export interface ImportOptions {
  readonly model: SiTName;
  readonly to: string;
  readonly log: string;
  readonly set?: string[];
  readonly json?: boolean;
}

export function addImport(program: Command): void {
  program
    .command('import')
    .description('make a run of published weights: a PyTorch checkpoint (.pt, read as data, never run) or safetensors')
    .argument('<file>', 'official names, plain or with model and ema inside')
    .addOption(
      new Option('--model <name>', 'the published model').choices(Object.keys(SIT_MODELS)).makeOptionMandatory(),
    )
    .requiredOption('--to <dir>', 'the folder of the new run')
    .option('--log <url>', 'the log that holds its commit', 'file:runs/log')
    .option('--set <path=value>', 'a setting that is not as published, such as model.depth=6', collect)
    .option('--json', 'one JSON object as the last line')
    .addHelpText('after', '\nExample:\n  repulsor import SiT-XL-2-256x256.pt --model SiT-XL/2 --to runs/xl')
    .action(async (file: string, options: ImportOptions) => {
      const { importFile } = await import('./import-file.ts');
      await importFile(file, options, openConsole(options.json ?? false));
    });
}
