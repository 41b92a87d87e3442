import type { Pipeline } from '../../src/trainer/pipeline.ts';
import { blocksOf } from '../../src/trainer/repulsion-settings.ts';
import { trainLayout } from '../../src/trainer/train-state.ts';

/** One matrix product of a train step and those of its gradient: `batch` times (m, k) x (k, n). */
export interface Product {
  readonly name: string;
  readonly batch: number;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  /** How often a product of this size is made: 1 forward only, 2 with one operand's gradient, 3 with both. */
  readonly passes: 1 | 2 | 3;
}

/** What one step must compute and move at least, whoever computes it. */
export interface StepWork {
  /** Floating-point operations of the matrix products, a multiplication and an addition each. */
  readonly flops: number;
  /** Of these, the momentum keys' forward pass, and the distances to the queue. */
  readonly key_flops: number;
  readonly queue_flops: number;
  /** Operands read and results written by the products, and by the optimizer and the averages, each once, in float32. */
  readonly bytes: number;
}

/** Features of the timestep's sinusoid. */
const FREQUENCIES = 256;
/** AdamW reads 4 vectors and writes 3; an average reads 2 and writes 1. */
const ADAMW_PASSES = 7;
const AVERAGE_PASSES = 3;
const BYTES = 4;

const linear = (name: string, m: number, k: number, n: number, passes: Product['passes']): Product => ({
  name,
  batch: 1,
  m,
  k,
  n,
  passes,
});

/** Every matrix product of a pipeline's train step, without second views. Embeddings are look-ups, and no product. */
export function stepProducts(pipeline: Pipeline): Product[] {
  const { model, losses } = pipeline;
  const b = pipeline.operators.batch;
  const tokens = (model.input[0] / model.patch) * (model.input[1] / model.patch);
  const d = model.width;
  const pixels = model.patch ** 2 * model.input[2];
  const network = (prefix: string, blocks: number, trained: boolean): Product[] => {
    const [whole, first] = trained ? ([3, 2] as const) : ([1, 1] as const);
    return [
      // Images and sinusoids are given: they need no gradient.
      linear(`${prefix}x_embedder`, b * tokens, pixels, d, first),
      linear(`${prefix}t_embedder.0`, b, FREQUENCIES, d, first),
      linear(`${prefix}t_embedder.2`, b, d, d, whole),
      ...Array.from({ length: blocks }, (_, i) =>
        block(`${prefix}blocks.${i}`, { b, tokens, d, heads: model.heads, mlpRatio: model.mlpRatio }, whole),
      ).flat(),
    ];
  };
  const outputs = pixels * (model.learnSigma ? 2 : 1);
  const trained = [
    ...network('', model.depth, true),
    linear('final_layer.adaLN', b, d, 2 * d, 3),
    linear('final_layer.linear', b * tokens, d, outputs, 3),
  ];
  const { repulsion } = losses;
  if (repulsion === null) return trained;
  const { pool, head, dim } = repulsion.projection;
  const pooled = pool === 'mean' ? d : d * tokens;
  const keyDim = head === 'mlp' ? dim : pooled;
  const blocks = blocksOf(repulsion);
  const projections = (prefix: string, passes: Product['passes']): Product[] =>
    blocks.flatMap((at) =>
      head === 'identity'
        ? []
        : [linear(`${prefix}head${at}.0`, b, pooled, d, passes), linear(`${prefix}head${at}.2`, b, d, dim, passes)],
    );
  const withKeys = repulsion.queue > 0 && repulsion.keyMomentum !== null;
  return [
    ...trained,
    ...projections('', 3),
    ...blocks.map(() => linear('pairs', b, keyDim, b, 3)),
    // The queue is a constant: one gradient only.
    ...(repulsion.queue > 0 ? blocks.map(() => linear('queue', b, keyDim, repulsion.queue, 2)) : []),
    ...(withKeys ? [...network('keys/', Math.max(...blocks), false), ...projections('keys/', 1)] : []),
  ];
}

interface BlockSize {
  readonly b: number;
  readonly tokens: number;
  readonly d: number;
  readonly heads: number;
  readonly mlpRatio: number;
}

function block(name: string, { b, tokens, d, heads, mlpRatio }: BlockSize, passes: Product['passes']): Product[] {
  const rows = b * tokens;
  const hidden = Math.round(d * mlpRatio);
  const perHead = d / heads;
  return [
    linear(`${name}.adaLN`, b, d, 6 * d, passes),
    linear(`${name}.qkv`, rows, d, 3 * d, passes),
    { name: `${name}.scores`, batch: b * heads, m: tokens, k: perHead, n: tokens, passes },
    { name: `${name}.mixed`, batch: b * heads, m: tokens, k: tokens, n: perHead, passes },
    linear(`${name}.proj`, rows, d, d, passes),
    linear(`${name}.fc1`, rows, d, hidden, passes),
    linear(`${name}.fc2`, rows, hidden, d, passes),
  ];
}

const flopsOf = ({ batch, m, k, n, passes }: Product): number => 2 * passes * batch * m * k * n;
const bytesOf = ({ batch, m, k, n, passes }: Product): number => BYTES * passes * batch * (m * k + k * n + m * n);
const sum = (products: readonly Product[], of: (product: Product) => number): number =>
  products.reduce((total, product) => total + of(product), 0);

export function stepWork(pipeline: Pipeline): StepWork {
  const products = stepProducts(pipeline);
  const averages = products.some(({ name }) => name.startsWith('keys/')) ? 2 : 1;
  const vectors = ADAMW_PASSES + AVERAGE_PASSES * averages;
  return {
    flops: sum(products, flopsOf),
    key_flops: sum(
      products.filter(({ name }) => name.startsWith('keys/')),
      flopsOf,
    ),
    queue_flops: sum(
      products.filter(({ name }) => name === 'queue'),
      flopsOf,
    ),
    bytes: sum(products, bytesOf) + BYTES * vectors * trainLayout(pipeline).size,
  };
}
