import { fileURLToPath } from 'node:url';
import { InvalidArgumentError } from 'commander';
import { loadPipeline, withOverrides } from '../../src/cli/load-pipeline.ts';
import { sitModel } from '../../src/model/sizes.ts';
import { checkPipeline } from '../../src/trainer/check-pipeline.ts';
import { definePipeline, type Pipeline } from '../../src/trainer/pipeline.ts';

/**
 * The sizes at which a train step is measured, each a whole pipeline: its step has AdamW, the EMA, the repulsion from a
 * queue of 4,096 and the momentum keys, as in training.
 *
 * - `a`: 6 blocks of width 192 on 64 tokens, batch 64: large products over small matrices;
 * - `b`: SiT-S/2, the smallest published model, on latents of 32 x 32 x 4: 12 blocks of width 384 on 256 tokens, batch 8;
 * - `c`: the digits pipeline's own but for the queue, where small ops and overheads rule.
 */
export const SHAPES = ['a', 'b', 'c'] as const;

export type Shape = (typeof SHAPES)[number];

/** Shapes as a flag takes them: `a,c`. */
export function shapeList(text: string): Shape[] {
  return text.split(',').map((part) => {
    if ((SHAPES as readonly string[]).includes(part.trim())) return part.trim() as Shape;
    throw new InvalidArgumentError(`Give one or more of ${SHAPES.join(', ')}.`);
  });
}

const DIGITS = fileURLToPath(new URL('../../pipelines/digits.ts', import.meta.url));

const shared = { source: { topic: 'bench' }, losses: { repulsion: { queue: 4_096 } } } as const;

const PIPELINES: Record<Shape, () => Pipeline | Promise<Pipeline>> = {
  a: () =>
    definePipeline({
      ...shared,
      name: 'bench-a',
      operators: { batch: 64 },
      model: { input: [32, 32, 3], patch: 4, width: 192, depth: 6, heads: 3, classes: 10 },
    }),
  b: () =>
    definePipeline({
      ...shared,
      name: 'bench-b',
      operators: { batch: 8 },
      model: { ...sitModel('SiT-S/2'), input: [32, 32, 4], classes: 1_000 },
    }),
  c: () => loadPipeline(DIGITS, [`losses.repulsion.queue=${shared.losses.repulsion.queue}`]),
};

/**
 * The pipeline of a shape, with `PATH=VALUE` overrides laid on: `losses.repulsion=null` is plain flow matching,
 * `losses.repulsion.queue=65536` a larger bank. @throws RepulsorError CONFIG
 */
export async function shapePipeline(shape: Shape, overrides: readonly string[] = []): Promise<Pipeline> {
  return checkPipeline(withOverrides(await PIPELINES[shape](), overrides), `shape ${shape}`);
}
