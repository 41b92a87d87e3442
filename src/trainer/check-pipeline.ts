import { z } from 'zod';
import { isS3Url } from '../checkpoint/s3/s3-address.ts';
import { PRECISIONS } from '../engine/product.ts';
import { RepulsorError } from '../errors.ts';
import { sitContradictions } from '../model/sit-contradictions.ts';
import { isRegistryUrl, REGISTRY_URL_HINT } from '../registry/registry-url.ts';
import { DIFFUSIONS } from '../transport/diffusion.ts';
import { PREDICTIONS } from '../transport/transport.ts';
import { repulsionContradictions, repulsionShape } from './check-repulsion.ts';
import { MIX_DEFAULTS, type Pipeline, topicsOf } from './pipeline.ts';
import { LAST_STEPS, SOLVERS } from './sampling-settings.ts';

const natural = z.int().min(1);
const count = z.int().min(0);
const positive = z.number().positive();
const share = z.number().min(0).max(1);
const decay = z.number().min(0).lt(1);

const topic = z.string().regex(/^[A-Za-z0-9._-]{1,249}$/, 'a topic has letters, digits, ".", "_" and "-", at most 249');

/** One topic is stored as text, as it always was; several sorted, so that a run may name them in another order. */
const topics = z.preprocess(
  (named) => (typeof named === 'string' ? [named] : named),
  z
    .array(topic)
    .min(1, 'names no topic')
    .refine((names) => new Set(names).size === names.length, 'names a topic twice')
    .transform((names) => (names.length === 1 ? names[0]! : [...names].sort())),
);

/** The settings' types and ranges. Unknown names are errors: a misspelt setting must not be a silent default. */
const shape: z.ZodType<Pipeline> = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'letters, digits, ".", "_" and "-", at most 100'),
  seed: count,
  log: z.string().regex(/^(file:|kafka:\/\/)/, 'begins with file: or kafka://'),
  source: z.strictObject({
    topic: topics,
    follow: z.boolean(),
    epochs: natural.nullable(),
    from: z.enum(['earliest', 'latest']),
    registry: z.string().refine(isRegistryUrl, REGISTRY_URL_HINT).nullable(),
    ingest: z.enum(['digits']).nullable(),
  }),
  operators: z.strictObject({
    shuffle: natural,
    flip: z.boolean(),
    batch: z.int().min(2),
    prefetch: natural,
    badRecords: share,
    mix: z
      .strictObject({
        topic: topic.nullable().default(MIX_DEFAULTS.topic),
        share: z.number().gt(0).lt(1).default(MIX_DEFAULTS.share),
        window: natural.default(MIX_DEFAULTS.window),
      })
      .nullable(),
    latentScale: positive,
  }),
  model: z.strictObject({
    input: z.tuple([natural, natural, natural]),
    patch: natural,
    width: natural.multipleOf(4),
    depth: natural,
    heads: natural,
    mlpRatio: positive,
    classes: natural,
    timeScale: positive,
    learnSigma: z.boolean(),
  }),
  precision: z.enum(PRECISIONS),
  transport: z.strictObject({
    path: z.enum(['linear', 'gvp', 'vp']),
    prediction: z.enum(PREDICTIONS),
    weighting: z.enum(['none', 'velocity', 'likelihood']),
    trainEps: z.number().positive().lt(0.5).nullable(),
  }),
  losses: z.strictObject({
    labelDropout: share,
    repulsion: repulsionShape.nullable(),
  }),
  optimizer: z.strictObject({
    learningRate: positive,
    warmup: count,
    decayShare: share,
    beta1: decay.gt(0),
    beta2: decay.gt(0),
    epsilon: positive,
    weightDecay: z.number().min(0),
    clip: positive.nullable(),
    ema: decay,
  }),
  steps: natural.nullable(),
  commit: z.strictObject({
    everySteps: natural,
    everySeconds: positive,
    keep: z.strictObject({ last: z.int().min(2), every: natural.nullable() }),
    store: z.string().refine(isS3Url, 's3://BUCKET or s3://BUCKET/PREFIX').nullable(),
  }),
  evaluation: z.strictObject({
    everySteps: natural.nullable(),
    topic: topic.nullable(),
    images: z.int().min(4),
    block: natural.nullable(),
    time: share,
  }),
  sampling: z.strictObject({
    solver: z.enum(SOLVERS),
    steps: natural,
    atol: positive,
    rtol: positive,
    eps: z.number().positive().lt(0.5).nullable(),
    sde: z.strictObject({
      diffusion: z.enum(DIFFUSIONS),
      norm: positive,
      lastStep: z.enum(LAST_STEPS),
      lastStepSize: positive.lt(1),
    }),
    guidance: z.number(),
    guidanceInterval: z.tuple([share, share]),
    guidedChannels: natural.nullable(),
    perLabel: count,
  }),
  metrics: z.strictObject({ host: z.string().min(1), port: z.int().min(0).max(65_535).nullable() }),
});

/** What no single setting can say. */
function contradictions({
  evaluation,
  model,
  transport,
  losses,
  optimizer,
  operators,
  steps,
  source,
  sampling,
}: Pipeline): string[] {
  const found: string[] = [];
  if (evaluation.block !== null && evaluation.block > model.depth)
    found.push(`evaluation.block: the model has ${model.depth} blocks, there is no block ${evaluation.block}`);
  found.push(...sitContradictions(model));
  if (losses.repulsion !== null) found.push(...repulsionContradictions(losses.repulsion, { model }));
  if (transport.weighting !== 'none' && transport.prediction === 'velocity')
    found.push('transport.weighting: scores and noise are weighted; with the prediction velocity set it to none');
  if (sampling.solver === 'euler-maruyama' && sampling.sde.lastStep !== 'none' && sampling.steps < 2)
    found.push('sampling.steps: the last step is one of them; euler-maruyama needs 2 or more');
  if (optimizer.decayShare > 0 && steps === null)
    found.push('optimizer.decayShare: a decay needs a known number of steps; set steps, or decayShare to 0');
  if (source.follow && source.epochs !== null)
    found.push('source.epochs: a followed topic has no epochs; set follow to false, or epochs to null');
  const archive = operators.mix?.topic ?? null;
  if (archive !== null && topicsOf(source).includes(archive))
    found.push(`operators.mix.topic: ${archive} is an input; null draws from what was read of the inputs`);
  if (source.ingest !== null && typeof source.topic !== 'string')
    found.push('source.ingest: a data set fills one topic; name one, or set ingest to null');
  return found;
}

/**
 * The pipeline, checked whole: every wrong setting is named by its path, not only the first.
 * @throws RepulsorError CONFIG
 */
export function checkPipeline(candidate: unknown, where: string): Pipeline {
  const parsed = shape.safeParse(candidate);
  const problems = parsed.success
    ? contradictions(parsed.data)
    : parsed.error.issues.map((issue) => `${issue.path.join('.') || 'pipeline'}: ${issue.message}`);
  if (problems.length > 0 || !parsed.success)
    throw new RepulsorError('CONFIG', `${where} has settings that cannot be used:\n  ${problems.join('\n  ')}`, {
      hint: 'correct them in the file, or on the command line with --set PATH=VALUE',
    });
  return parsed.data;
}
