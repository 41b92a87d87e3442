import type { Command } from 'commander';
import type { EngineWish } from '../engine/engine.ts';
import { openConsole } from './console.ts';
import { engineOption, imageSize, wholeNumber } from './options.ts';

export interface TrainClassifierOptions {
  readonly out: string;
  readonly size?: [number, number];
  readonly grey?: boolean;
  readonly epochs: number;
  readonly seed: number;
  readonly engine: EngineWish;
  readonly json?: boolean;
}

export function addTrainClassifier(program: Command): void {
  program
    .command('train-classifier')
    .description(
      'train the small classifier whose features `evaluate` compares, and say how many held-out images it tells right',
    )
    .argument('<source>', '"digits", or a folder with one subfolder of images for each class')
    .requiredOption('--out <file>', 'the .safetensors to write')
    .option('--size <HxW>', 'scale and cut every image of a folder to this', imageSize)
    .option('--grey', 'with --size: one channel instead of three')
    .option('--epochs <n>', 'passes over the images', wholeNumber(1), 30)
    .option('--seed <n>', 'of the weights, the order and the perturbations', wholeNumber(0), 0)
    .addOption(engineOption())
    .option('--json', 'one JSON object as the last line')
    .addHelpText('after', '\nExample:\n  repulsor train-classifier digits --out digits-classifier.safetensors')
    .action(async (source: string, options: TrainClassifierOptions) => {
      const { runClassifierTraining } = await import('./classifier-training.ts');
      await runClassifierTraining(source, options, openConsole(options.json ?? false));
    });
}
