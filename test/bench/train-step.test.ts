import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Goal } from '../../bench/benchmark.ts';
import { agreementOf } from '../../bench/train-step/check-arithmetic.ts';
import { stepProducts, stepWork } from '../../bench/train-step/products.ts';
import { shapePipeline } from '../../bench/train-step/shapes.ts';
import { definePipeline } from '../../src/trainer/pipeline.ts';
import { trainLayout } from '../../src/trainer/train-state.ts';

const RUN = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));

/** Two images of 4 x 4 x 1: 4 tokens of 4 pixels each. */
const tiny = (repulsion: object | null) =>
  definePipeline({
    name: 'tiny',
    source: { topic: 'none' },
    operators: { batch: 2 },
    model: { input: [4, 4, 1], patch: 2, width: 8, depth: 1, heads: 2, classes: 3 },
    losses: { repulsion: repulsion as never },
  });

test('the operations of a step are those counted by hand', () => {
  const network = {
    x_embedder: 2 * 2 * (8 * 4 * 8), // no gradient for the images
    't_embedder.0': 2 * 2 * (2 * 256 * 8),
    't_embedder.2': 2 * 3 * (2 * 8 * 8),
    'blocks.0.adaLN': 2 * 3 * (2 * 8 * 48),
    'blocks.0.qkv': 2 * 3 * (8 * 8 * 24),
    'blocks.0.scores': 2 * 3 * (4 * 4 * 4 * 4), // 2 images x 2 heads
    'blocks.0.mixed': 2 * 3 * (4 * 4 * 4 * 4),
    'blocks.0.proj': 2 * 3 * (8 * 8 * 8),
    'blocks.0.fc1': 2 * 3 * (8 * 8 * 32),
    'blocks.0.fc2': 2 * 3 * (8 * 32 * 8),
    'final_layer.adaLN': 2 * 3 * (2 * 8 * 16),
    'final_layer.linear': 2 * 3 * (8 * 8 * 4),
  };
  const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((a, b) => a + b, 0);
  expect(sum(network)).toBe(65_792);
  const plain = tiny(null);
  expect(stepProducts(plain).map(({ name }) => name)).toEqual(Object.keys(network));
  expect(stepWork(plain)).toMatchObject({ flops: 65_792, key_flops: 0, queue_flops: 0 });

  const repelled = tiny({ queue: 16, block: 1, projection: { dim: 4 } });
  const head = 2 * 3 * (2 * 8 * 8) + 2 * 3 * (2 * 8 * 4);
  const keys = 512 + 8192 + 256 + (4608 + 9216 + 1536 + 1536 + 3072 + 12_288 + 12_288) / 3 + head / 3;
  const queue = 2 * 2 * (2 * 4 * 16); // the queue is a constant
  expect(stepWork(repelled)).toMatchObject({
    flops: 65_792 + head + 2 * 3 * (2 * 4 * 2) + queue + keys,
    key_flops: keys,
    queue_flops: queue,
  });
});

test('the bytes are those of the operands and results, and of the optimizer and the averages', () => {
  const plain = tiny(null);
  const product = (m: number, k: number, n: number): number => m * k + k * n + m * n;
  const x = 2 * product(8, 4, 8);
  const scores = 3 * 4 * product(4, 4, 4);
  const others = [
    2 * product(2, 256, 8),
    ...[
      [2, 8, 8],
      [2, 8, 48],
      [8, 8, 24],
      [8, 8, 8],
      [8, 8, 32],
      [8, 32, 8],
      [2, 8, 16],
      [8, 8, 4],
    ].map(([m, k, n]) => 3 * product(m!, k!, n!)),
  ];
  const products = x + 2 * scores + others.reduce((a, b) => a + b, 0);
  expect(stepWork(plain).bytes).toBe(4 * (products + 10 * trainLayout(plain).size));
});

test('SiT-S/2 takes the 6.06 G multiplications and additions an image that are published of it', async () => {
  // Peebles and Xie 2023, table 4, DiT-S/2: of one forward pass, which is a third of a step.
  const { flops } = stepWork(await shapePipeline('b', ['losses.repulsion=null']));
  expect(flops / 8 / 3 / 2 / 1e9).toBeCloseTo(6.06, 1);
});

test('sides agree as far as their worst step; what one of them lacks is a disagreement', () => {
  const steps = [{ total: 1 }, { total: 2 }];
  const ours = { steps, moved: { params: 3 } };
  expect(agreementOf(ours, ours)).toEqual({ steps: 2, terms: { total: 0 }, moved: { params: 0 } });
  const theirs = { steps: [{ total: 1 }, { total: 2.5 }], moved: {} };
  expect(agreementOf(ours, theirs)).toEqual({
    steps: 2,
    terms: { total: 0.2 },
    moved: { params: Number.POSITIVE_INFINITY },
  });
});

test('the benchmark of the train step ends with one JSON object, without peers too', { timeout: 300_000 }, () => {
  const flags = ['--shape', 'c', '--rounds', '1', '--turn-seconds', '1', '--no-peers', '--json'];
  const end = spawnSync(process.execPath, ['--import', 'tsx', RUN, 'train-step', ...flags], {
    encoding: 'utf8',
    timeout: 280_000,
  });
  expect(end, end.stderr).toMatchObject({ status: 0 });
  const { benchmark, figures, goals } = JSON.parse(end.stdout.trim());
  expect(benchmark).toBe('train-step');
  const [shape] = figures.shapes;
  expect(shape).toMatchObject({ shape: 'c', batch: 32, agreement: null, repulsion_cost: null });
  expect(shape.sides['ours fp32']).toMatchObject({
    images_per_second: { median: expect.any(Number), samples: 1 },
    peak_bytes: expect.any(Number),
    compile_seconds: expect.any(Number),
  });
  expect(shape.sides).toHaveProperty('ours bf16');
  expect(shape.missing).toMatchObject({ 'torch eager fp32': 'measured without peers' });
  expect(Object.keys(goals)).toEqual(['peak_share_c']);
  expect((goals.peak_share_c as Goal).value).toBeGreaterThan(0);
});
