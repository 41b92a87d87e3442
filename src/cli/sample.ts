import { type Command, Option } from 'commander';
import type { Commit } from '../codec/records.ts';
import { checkPipeline } from '../trainer/check-pipeline.ts';
import { openRun } from '../trainer/open-run.ts';
import { type Console, openConsole } from './console.ts';
import type { Decoding } from './decoding.ts';
import type { DrawRunOptions } from './draw-run.ts';
import { addDrawingOptions, type DrawingFlags, drawingOverrides } from './drawing-options.ts';
import { withOverrides } from './load-pipeline.ts';
import { labelList, wholeNumber } from './options.ts';

type SampleOptions = Omit<DrawRunOptions, 'seed'> & DrawingFlags;

export function addSample(program: Command): void {
  const command = program
    .command('sample')
    .description("draw from a run's averaged weights: a grid of images with one row a label, or raw arrays")
    .argument('<run>', 'the run folder')
    .option('--labels <list>', 'classes, such as 0-9 or 3,1,4 (default: all)', labelList)
    .option('--per-label <n>', 'images of each class', wholeNumber(1))
    .option('--out <file>', 'the PNG or .safetensors to write (default: samples-STEP.png in the run folder)')
    .option('--noise <file>', 'safetensors with what the images begin as: (n, H, W, C) or (n, C, H, W)')
    .addOption(
      new Option('--layout <order>', 'of raw arrays (default: that of the noise, or nhwc)').choices(['nhwc', 'nchw']),
    );
  addDrawingOptions(command, { set: 'sampling', seed: 'of the noise' })
    .addHelpText(
      'after',
      `
Examples:
  repulsor sample runs/digits --labels 0-9 --per-label 10 --out grid.png
  repulsor sample runs/digits --labels 3,1 --out noise.safetensors
  repulsor sample runs/digits --noise noise.safetensors --labels 3,1 --solver heun --steps 25 --cfg 1.5 --out out.safetensors
  repulsor sample runs/latents --decode runs/vae --out latents.png`,
    )
    .action(async (folder: string, options: SampleOptions) => {
      const console = openConsole(options.json ?? false);
      const overrides = drawingOverrides(options);
      const run = await openRun(folder, options.log);
      try {
        const pipeline = checkPipeline(withOverrides(run.pipeline, overrides), 'what was asked for');
        const { drawRun } = await import('./draw-run.ts');
        const decoding = await decodingOf(options, run.newest.commit, console);
        try {
          await drawRun({ ...run, pipeline }, { ...options, decoding }, console);
        } finally {
          await decoding?.close();
        }
      } finally {
        await run.log.close();
      }
    });
}

/** Null where samples are drawn as they are. The runtime is loaded where it is needed. */
async function decodingOf({ decode, out }: SampleOptions, commit: Commit, console: Console): Promise<Decoding | null> {
  if (decode === undefined) return null;
  return (await import('./decoding.ts')).openDecoding(decode, commit, out ?? null, console.warn);
}
