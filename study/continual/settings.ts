import { checkPipeline } from '../../src/trainer/check-pipeline.ts';
import { definePipeline, type Pipeline } from '../../src/trainer/pipeline.ts';
import type { Variant } from './results.ts';

/** The classes that the stream brings, turn by turn. */
export const TURNS: readonly (readonly number[])[] = [
  [0, 1],
  [2, 3],
  [4, 5],
  [6, 7],
  [8, 9],
];

export const BATCH = 32;

/** New images of a turn: what so many steps take of the stream beside the archive. */
export const imagesOfTurn = (steps: number, share: number): number => Math.ceil(steps * BATCH * (1 - share));

/** The stream of a share: the fewer new samples a step takes, the shorter it is. */
export const topicOf = (steps: number, share: number): string => `digits-in-turns-${imagesOfTurn(steps, share)}`;

/**
 * The pipeline of a variant: the model of pipelines/digits.ts and a constant learning rate, for a stream has no end to decay
 * towards. All variants take the same number of steps, of the same size.
 */
export function pipelineOf(
  { queue, share }: Variant,
  { seed, log, stepsPerTurn, turn }: { seed: number; log: string; stepsPerTurn: number; turn: number },
): Pipeline {
  const pipeline = definePipeline({
    name: `continual-${queue}-${share}-${seed}`,
    seed,
    log,
    source: { topic: topicOf(stepsPerTurn, share), follow: false, epochs: 1 },
    operators: { shuffle: 1_000, batch: BATCH, mix: share === 0 ? null : { topic: null, share, window: 1_024 } },
    model: { input: [28, 28, 1], patch: 4, width: 64, depth: 4, heads: 2, classes: 10, timeScale: 10 },
    losses: { repulsion: queue === 'none' ? null : { lambda: 0.05, queue: 4_096, ramp: 500, keyMomentum: 0.99 } },
    optimizer: { learningRate: 4e-3, beta2: 0.99, warmup: 100, clip: 1, ema: 0.995 },
    steps: stepsPerTurn * (turn + 1),
    commit: { everySteps: 200, keep: { last: 2, every: null } },
    sampling: { perLabel: 0 },
    metrics: { port: 0 },
  });
  return checkPipeline(pipeline, 'the study');
}
