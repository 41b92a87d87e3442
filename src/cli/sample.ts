import { type Command, Option } from 'commander';
import type { Commit } from '../codec/records.ts';
import type { EngineWish } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { checkPipeline } from '../trainer/check-pipeline.ts';
import { openRun } from '../trainer/open-run.ts';
import { SOLVERS } from '../trainer/sampling-settings.ts';
import { type Console, openConsole } from './console.ts';
import type { Decoding } from './decoding.ts';
import type { DrawRunOptions } from './draw-run.ts';
import { asOverrides, withOverrides } from './load-pipeline.ts';
import { collect, engineOption, finiteNumber, labelList, wholeNumber } from './options.ts';

interface SampleOptions extends DrawRunOptions {
  readonly solver?: string;
  readonly steps?: number;
  readonly guidance?: number;
  readonly set?: string[];
  readonly engine: EngineWish;
  readonly log?: string;
  readonly decode?: string;
  readonly json?: boolean;
}

export function addSample(program: Command): void {
  program
    .command('sample')
    .description("draw from a run's averaged weights: a grid of images with one row a label, or raw arrays")
    .argument('<run>', 'the run folder')
    .option('--labels <list>', 'classes, such as 0-9 or 3,1,4 (default: all)', labelList)
    .option('--per-label <n>', 'images of each class', wholeNumber(1))
    .option('--out <file>', 'the PNG or .safetensors to write (default: samples-STEP.png in the run folder)')
    .addOption(new Option('--solver <name>', 'the integrator').choices(SOLVERS))
    .option('--steps <n>', 'steps of the solver', wholeNumber(1))
    .option('--cfg, --guidance <scale>', 'classifier-free guidance; 1 is none', finiteNumber)
    .option('--set <sampling.path=value>', 'any other setting of sampling; may be given more than once', collect)
    .option('--noise <file>', 'safetensors with what the images begin as: (n, H, W, C) or (n, C, H, W)')
    .addOption(
      new Option('--layout <order>', 'of raw arrays (default: that of the noise, or nhwc)').choices(['nhwc', 'nchw']),
    )
    .option(
      '--decode <model>',
      "latents to images: their autoencoder's decoder.onnx, or a folder that holds both its halves",
    )
    .option('--seed <n>', 'of the noise', wholeNumber(0), 0)
    .addOption(engineOption())
    .option('--log <url>', 'the log that holds the run, when it moved')
    .option('--json', 'one JSON object as the last line')
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
      const strange = options.set?.find((text) => !text.startsWith('sampling.'));
      if (strange !== undefined)
        throw new RepulsorError('USAGE', `--set ${strange} is no setting of sampling`, {
          hint: 'for example: --set sampling.rtol=1e-4; what was trained with cannot be changed any more',
        });
      const run = await openRun(folder, options.log);
      try {
        const pipeline = checkPipeline(withOverrides(run.pipeline, overrides(options)), 'what was asked for');
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

function overrides({ solver, steps, guidance, set }: SampleOptions): string[] {
  return asOverrides({ 'sampling.solver': solver, 'sampling.steps': steps, 'sampling.guidance': guidance }, set);
}
