import type { KeepSettings } from '../checkpoint/keep-rule.ts';
import type { Precision } from '../engine/product.ts';
import { DEFAULT_SIT, type SiTSettings } from '../model/sit.ts';
import type { ArchiveMix } from '../operators/batches.ts';
import type { AdamWSettings } from '../optim/adamw.ts';
import type { ScheduleSettings } from '../optim/schedule.ts';
import { DEFAULT_TRANSPORT, type TransportSettings } from '../transport/transport.ts';
import type { EvaluationSettings } from './evaluation-settings.ts';
import { defaultRepulsion, type RepulsionSettings } from './repulsion-settings.ts';
import { DEFAULT_GUIDANCE, DEFAULT_SOLVER, type SamplingSettings } from './sampling-settings.ts';

/** A pipeline: from a topic of images to a trained model. Plain data, so that it can be digested, stored and compared. */
export interface Pipeline {
  readonly name: string;
  /** Keys every random number of the run. A safe integer. */
  readonly seed: number;
  /** `file:DIR` or `kafka://host:port,...`; `--log` overrides it. */
  readonly log: string;
  readonly source: {
    /** One topic, or several: each once, in any order (the order in which they are read is topicsOf's). */
    readonly topic: string | readonly string[];
    /** Follow the topics as they grow; else pass over them as they stand when the run begins. */
    readonly follow: boolean;
    /** Passes over topics that are not followed; null goes on until the steps are done. */
    readonly epochs: number | null;
    /** Where a new run that follows its topics begins. */
    readonly from: 'earliest' | 'latest';
    /** URL of the schema registry that the ids in Confluent's wire format are of, for each topic read; null: no record has one. */
    readonly registry: string | null;
    /** A built-in data set that fills the topic when it is not there. */
    readonly ingest: 'digits' | null;
  };
  readonly operators: {
    /** Samples in a shuffle window; 1 keeps their order. */
    readonly shuffle: number;
    readonly flip: boolean;
    readonly batch: number;
    /** Batches ready ahead of the trainer. */
    readonly prefetch: number;
    /** The run stops when more than this share of the last thousand records was bad. */
    readonly badRecords: number;
    /** Records read again from the archive, between the new ones (src/operators/mix.ts); null: none. */
    readonly mix: ArchiveMix | null;
    /** Latents are multiplied by this; images of bytes become [-1, 1] whatever it is. */
    readonly latentScale: number;
  };
  readonly model: SiTSettings;
  /** Of the matrix products of the network: bf16 rounds their operands to bfloat16. All else is float32, the weights too. */
  readonly precision: Precision;
  /** The path between noise and data, and what the network predicts on it. */
  readonly transport: TransportSettings;
  readonly losses: {
    /** Share of labels replaced by the null class, for classifier-free guidance. */
    readonly labelDropout: number;
    readonly repulsion: RepulsionSettings | null;
  };
  readonly optimizer: AdamWSettings &
    ScheduleSettings & {
      /** Limit of the gradient's global norm; null for none. */
      readonly clip: number | null;
      /** Decay of the averaged weights that sampling uses. */
      readonly ema: number;
    };
  /** Steps in all; null trains until the topic or the user ends it. */
  readonly steps: number | null;
  /**
   * A commit every so many steps or seconds, whichever comes first. `keep` says of which commits the weights stay in the store:
   * of the newest `last`, and of each whose number `every` divides (null: no others; 1: all). The log keeps the rest of
   * every commit.
   */
  readonly commit: {
    readonly everySteps: number;
    readonly everySeconds: number;
    readonly keep: KeepSettings;
    /** Where a new run's weights go: `s3://BUCKET/PREFIX`, under its id; null: into its folder. */
    readonly store: string | null;
  };
  /** Measures of a block's features while it trains. */
  readonly evaluation: EvaluationSettings;
  /** The grid of samples made at the end. */
  readonly sampling: SamplingSettings;
  /** Where /metrics is served. Port null: 9464, or a free one when that is taken. */
  readonly metrics: { readonly host: string; readonly port: number | null };
}

/** The input topics, sorted. */
export function topicsOf({ topic }: Pick<Pipeline['source'], 'topic'>): readonly string[] {
  return typeof topic === 'string' ? [topic] : [...topic].sort();
}

/** What a run reads: its input topics, and the archive where that is another one. */
export function topicsRead({ source, operators }: Pick<Pipeline, 'source' | 'operators'>): readonly string[] {
  const archive = operators.mix?.topic ?? null;
  return archive === null ? topicsOf(source) : [...topicsOf(source), archive];
}

/** A quarter of each batch, where nothing else is said; a window as large as a shuffle window of some records. */
export const MIX_DEFAULTS: ArchiveMix = { topic: null, share: 0.25, window: 1_024 };

type DeepPartial<T> = T extends readonly unknown[] ? T : T extends object ? { [K in keyof T]?: DeepPartial<T[K]> } : T;

/** What a pipeline module must say; all else has a default. */
export type PipelineInput = DeepPartial<Pipeline> & {
  readonly name: string;
  readonly source: { readonly topic: string | readonly string[] };
  readonly model: Pick<SiTSettings, 'input' | 'patch' | 'width' | 'depth' | 'heads' | 'classes'>;
};

function defaults(input: PipelineInput): Pipeline {
  return {
    name: input.name,
    seed: 0,
    log: 'file:runs/log',
    source: { topic: input.source.topic, follow: true, epochs: null, from: 'earliest', registry: null, ingest: null },
    operators: {
      shuffle: 4_096,
      flip: false,
      batch: 32,
      prefetch: 4,
      badRecords: 0.5,
      mix: input.operators?.mix ? MIX_DEFAULTS : null,
      latentScale: 0.18215,
    },
    model: { ...DEFAULT_SIT, ...input.model },
    precision: 'fp32',
    transport: DEFAULT_TRANSPORT,
    losses: { labelDropout: 0.1, repulsion: defaultRepulsion(input.model.depth) },
    optimizer: {
      learningRate: 1e-4,
      warmup: 0,
      decayShare: 0,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0,
      clip: null,
      ema: 0.9999,
    },
    steps: null,
    commit: { everySteps: 500, everySeconds: 60, keep: { last: 5, every: null }, store: null },
    evaluation: { everySteps: null, topic: null, images: 512, block: null, time: 0.9 },
    sampling: { ...DEFAULT_SOLVER, ...DEFAULT_GUIDANCE, perLabel: 10 },
    metrics: { host: '127.0.0.1', port: null },
  };
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `over` laid on `base`, deeply; null and lists replace whole. */
function merge(base: unknown, over: unknown): unknown {
  if (over === undefined) return base;
  if (!isPlain(base) || !isPlain(over)) return over;
  const keys = new Set([...Object.keys(base), ...Object.keys(over)]);
  return Object.fromEntries([...keys].map((key) => [key, merge(base[key], over[key])]));
}

/**
 * A pipeline with every default filled in. What a pipeline module exports by default.
 * It is checked when it is loaded (src/trainer/check-pipeline.ts), after the command line's overrides.
 *
 * @example
 * export default definePipeline({
 *   name: 'digits',
 *   source: { topic: 'digits', follow: false, epochs: 10 },
 *   model: { input: [28, 28, 1], patch: 4, width: 64, depth: 4, heads: 2, classes: 10 },
 * });
 */
export function definePipeline(input: PipelineInput): Pipeline {
  return merge(defaults(input), input) as Pipeline;
}
