import { type Command, InvalidArgumentError, Option } from 'commander';
import type { EngineWish } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { METRICS, type Metric } from '../evaluation/measure.ts';
import { ONNX_RANGES, type OnnxRange } from '../evaluation/onnx-extractor.ts';
import {
  isRepresentationMetric,
  REPRESENTATION_METRICS,
  type RepresentationMetric,
} from '../evaluation/representation.ts';
import { openConsole } from './console.ts';
import { addDrawingOptions, type DrawingFlags, drawingOverrides } from './drawing-options.ts';
import { imageSize, labelList, wholeNumber } from './options.ts';

export interface EvaluateOptions {
  readonly against?: string;
  readonly features?: readonly string[];
  readonly metrics: readonly EvaluateMetric[];
  readonly perClass?: boolean;
  /** Null: the one estimate over all pairs. */
  readonly kid: { readonly count: number; readonly size: number } | null;
  readonly extractor: string;
  readonly onnxSize?: readonly [number, number];
  readonly onnxRange: OnnxRange;
  readonly onnxFeatures?: string;
  readonly onnxLogits?: string;
  readonly samples: number;
  readonly labels?: readonly number[];
  readonly seed: number;
  readonly saveFeatures?: string;
  readonly grid?: string;
  readonly decode?: string;
  readonly engine: EngineWish;
  readonly log?: string;
  readonly json?: boolean;
  /** Of sampling and evaluation, by their paths. */
  readonly overrides: readonly string[];
}

/** What can be asked for: measures of samples, and of the network's features. */
export type EvaluateMetric = Metric | RepresentationMetric;
const ALL: readonly EvaluateMetric[] = [...METRICS, ...REPRESENTATION_METRICS];

type Flags = Omit<EvaluateOptions, 'kid' | 'overrides'> &
  DrawingFlags & { readonly kid: NonNullable<EvaluateOptions['kid']> | 'exact' };

function metricList(text: string): EvaluateMetric[] {
  const names = text.split(',').map((name) => name.trim());
  const strange = names.find((name) => !ALL.includes(name as EvaluateMetric));
  if (strange !== undefined) throw new InvalidArgumentError(`There is no ${strange}; there are ${ALL.join(', ')}.`);
  return [...new Set(names as EvaluateMetric[])];
}

/** `exact` stays a word: commander takes null for nothing given. */
function kidSubsets(text: string): Flags['kid'] {
  if (text === 'exact') return text;
  const match = /^([1-9]\d*)x([1-9]\d*)$/.exec(text);
  if (match === null || Number(match[2]) < 2)
    throw new InvalidArgumentError('Give subsets and their size, such as 100x1000, or exact.');
  return { count: Number(match[1]), size: Number(match[2]) };
}

export function addEvaluate(program: Command): void {
  const command = program
    .command('evaluate')
    .description("measure a run's samples, or saved features, against a reference: FID, KID, precision and recall, ...")
    .argument('[run]', 'the run folder')
    .option(
      '--against <reference>',
      "a topic of the run's log, a folder of images, or a .safetensors of features (default: the run's evaluation.topic)",
    )
    .option('--features <file...>', 'instead of a run: a file of generated and one of reference features')
    .option(
      '--metrics <list>',
      `of samples: ${METRICS.join(', ')}; of a block's features: ${REPRESENTATION_METRICS.join(', ')}`,
      metricList,
      ['fid', 'kid', 'prdc'],
    )
    .option('--per-class', 'FID of each class too')
    .option('--kid <subsets>', 'subsets and their size, or "exact": all at once', kidSubsets, {
      count: 100,
      size: 1000,
    })
    .option('--extractor <name>', '"digits", or a file: a classifier of ours (.safetensors), or .onnx', 'digits')
    .option('--onnx-size <HxW>', 'that images are brought to (default: what the model declares)', imageSize)
    .addOption(
      new Option('--onnx-range <name>', 'of the pixels: [-1, 1], [0, 1], [0, 255], or by ImageNet')
        .choices(ONNX_RANGES)
        .default('signed'),
    )
    .option('--onnx-features <output>', 'that holds the features (default: the first)')
    .option('--onnx-logits <output>', 'that holds the logits of the classes, for is and accuracy')
    .option('--samples <n>', 'images to draw', wholeNumber(2), 10_000)
    .option('--labels <list>', 'classes to draw and to compare with, such as 0-9 (default: all)', labelList)
    .option('--save-features <file>', 'the .safetensors to write with the features of what was drawn')
    .option('--grid <file>', 'the PNG of what was drawn (default: evaluation-STEP.png in the run folder)');
  addDrawingOptions(command, { set: 'sampling and evaluation', seed: 'of the noise, and of the subsets of KID' })
    .addHelpText(
      'after',
      `
Examples:
  repulsor evaluate runs/digits --samples 1000 --metrics fid,kid,prdc,is,accuracy --json
  repulsor evaluate runs/digits --against digits --samples 1000 --per-class --save-features drawn.safetensors
  repulsor evaluate runs/digits --metrics knn_accuracy,linear_probe,effective_rank,alignment,uniformity
  repulsor evaluate --features drawn.safetensors drawn.safetensors --metrics fid,prdc`,
    )
    .action(async (run: string | undefined, flags: Flags) => {
      const overrides = drawingOverrides(flags, ['sampling', 'evaluation']);
      const options = { ...flags, overrides, kid: flags.kid === 'exact' ? null : flags.kid };
      const console = openConsole(flags.json ?? false);
      if (flags.features !== undefined) {
        if (run !== undefined || flags.against !== undefined || flags.features.length !== 2)
          throw usage('--features takes two files, generated and reference, and no run');
        const ofRun = flags.metrics.find(isRepresentationMetric);
        if (ofRun !== undefined) throw usage(`${ofRun} is of a run's features, two files have none`);
        const { compareFeatures } = await import('./compare-features.ts');
        return compareFeatures(flags.features as [string, string], options, console);
      }
      if (run === undefined) throw usage('there is nothing to compare: a run is needed, or --features');
      const { evaluateRun } = await import('./evaluate-run.ts');
      return evaluateRun(run, flags.against ?? null, options, console);
    });
}

function usage(what: string): RepulsorError {
  return new RepulsorError('USAGE', what, { hint: 'repulsor evaluate --help shows examples' });
}
