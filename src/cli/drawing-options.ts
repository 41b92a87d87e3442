import { type Command, Option } from 'commander';
import type { EngineWish } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { SOLVERS } from '../trainer/sampling-settings.ts';
import { asOverrides } from './load-pipeline.ts';
import { collect, engineOption, finiteNumber, wholeNumber } from './options.ts';

/** What `addDrawingOptions` adds. */
export interface DrawingFlags {
  readonly solver?: string;
  readonly steps?: number;
  readonly guidance?: number;
  readonly set?: readonly string[];
  readonly decode?: string;
  readonly seed: number;
  readonly engine: EngineWish;
  readonly log?: string;
  readonly json?: boolean;
}

/** The flags of commands that draw from a run: how it is drawn, by which engine, out of which log. */
export function addDrawingOptions(command: Command, also: { readonly set: string; readonly seed: string }): Command {
  return command
    .addOption(new Option('--solver <name>', 'the integrator').choices(SOLVERS))
    .option('--steps <n>', 'steps of the solver', wholeNumber(1))
    .option('--cfg, --guidance <scale>', 'classifier-free guidance; 1 is none', finiteNumber)
    .option('--set <path=value>', `any other setting of ${also.set}; may be given more than once`, collect)
    .option(
      '--decode <model>',
      "latents to images: their autoencoder's decoder.onnx, or a folder that holds both its halves",
    )
    .option('--seed <n>', also.seed, wholeNumber(0), 0)
    .addOption(engineOption())
    .option('--log <url>', 'the log that holds the run, when it moved')
    .option('--json', 'one JSON object as the last line');
}

/**
 * The flags as settings of the run, by their paths; `sections` are those that --set may reach.
 * @throws RepulsorError USAGE for a setting of another one
 */
export function drawingOverrides(
  { solver, steps, guidance, set }: DrawingFlags,
  sections: readonly string[] = ['sampling'],
): string[] {
  const strange = set?.find((text) => !sections.some((section) => text.startsWith(`${section}.`)));
  if (strange !== undefined)
    throw new RepulsorError('USAGE', `--set ${strange} is no setting of ${sections.join(' or ')}`, {
      hint: 'for example: --set sampling.rtol=1e-4; what was trained with cannot be changed any more',
    });
  return asOverrides({ 'sampling.solver': solver, 'sampling.steps': steps, 'sampling.guidance': guidance }, set);
}
