import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Goal } from '../../bench/benchmark.ts';
import type { Table } from '../../bench/table.ts';
import { agreementOf } from '../../bench/train-step/check-arithmetic.ts';
import { goalsOf } from '../../bench/train-step/goals.ts';
import type { ShapeFigures } from '../../bench/train-step/measure-shape.ts';
import { stepProducts, stepWork } from '../../bench/train-step/products.ts';
import { shapePipeline } from '../../bench/train-step/shapes.ts';
import { tablesOf } from '../../bench/train-step/tables.ts';
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

/** Of shape b, every ratio `ratio`, of sides that need `bytes` on the host; only what goals and tables look at. */
function figures(device: 'cpu' | 'gpu', changes: Partial<ShapeFigures> = {}): ShapeFigures {
  const all = (value: number) => ({ median: value, min: value, max: value, samples: 1 });
  const ratio = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, all(1.2)]));
  const compared = [
    'ours fp32 / torch eager fp32',
    'ours bf16 / torch eager bf16',
    'ours bf16 / torch compiled bf16',
    'best of ours / best of torch',
  ];
  const side = (compile_mode: string | null, device_peak_bytes: number | null) => ({
    version: '1',
    compile_seconds: 1,
    compile_mode,
    mode_step_seconds: null,
    ops: null,
    peak_bytes: 3e9,
    turns_peak_bytes: 2e9,
    idle_bytes: 1e9,
    device_peak_bytes,
    images_per_second: all(100),
    step_seconds: all(0.08),
    cpu_seconds: all(0.1),
    peak_share: all(0.5),
  });
  const onDevice = device === 'gpu' ? 5e8 : null;
  return {
    shape: 'b',
    device,
    parameters: 7,
    batch: 8,
    work: { flops: 1e9, key_flops: 0, queue_flops: 0, bytes: 1e9 },
    peak_flops_per_second: all(1e12),
    peak_bytes_per_second: all(1e12),
    floor: { by_flops_seconds: 1, by_bytes_seconds: 2 },
    sides: {
      'ours fp32': side(null, null),
      'torch eager fp32': side(null, onDevice),
      'torch compiled bf16': side('reduce-overhead', onDevice),
    },
    missing: {},
    ratios: ratio(compared),
    cpu_ratios: ratio(compared),
    repulsion_cost: ratio(['momentum keys', 'current keys']),
    agreement: { steps: 2, terms: { total: 1e-7 }, moved: {} },
    torch: {
      adamw: 'fused',
      openmp_wait: device === 'cpu' ? 'passive' : null,
      compile_modes: { 'torch compiled bf16': 'reduce-overhead' },
    },
    ...changes,
  };
}

test('a GPU is held to the comparisons of speed alone, the CPU also to memory, share of the peak and cost of the repulsion', () => {
  const speed = {
    fp32_over_torch_eager_b: { value: 1.2, goal: '>= 1.15', met: true },
    bf16_over_torch_autocast_b: { value: 1.2, goal: '>= 1.3', met: false },
    best_over_torch_best_b: { value: 1.2, goal: '>= 1.1', met: true },
  };
  expect(goalsOf(figures('gpu'))).toEqual(speed);
  expect(goalsOf(figures('cpu'))).toEqual({
    ...speed,
    peak_rss_over_torch_b: { value: 1, goal: '<= 1', met: true },
    peak_share_b: { value: 0.5, goal: '>= 0.6', met: false },
    repulsion_65536_over_plain_b: { value: 1.2, goal: '<= 1.02', met: false },
    repulsion_65536_current_keys_over_plain_b: { value: 1.2, goal: '<= 1.02', met: false },
  });
});

test('without peers a GPU is held to nothing; without one of them the best is no best', () => {
  expect(goalsOf(figures('gpu', { agreement: null }))).toEqual({});
  const { best_over_torch_best_b } = goalsOf(figures('gpu', { missing: { 'torch compiled fp32': 'failed' } }));
  expect(best_over_torch_best_b).toMatchObject({ value: Number.NaN, met: false });
});

test('tables say which device it was, how PyTorch ran on it, and what it held there', () => {
  const titles = (device: 'cpu' | 'gpu', name: string) => tablesOf([figures(device)], name).map(({ title }) => title);
  expect(titles('gpu', 'Some GPU')).toEqual([
    'Shape b on Some GPU: 7 parameters, batch 8; median (least..most) over turns',
    'Shape b: images/s of one over the other, turn by turn (PyTorch with fused AdamW, torch compiled bf16: reduce-overhead)',
    expect.stringContaining('2 steps from the same values'),
    expect.stringContaining('What bounds a float32 step on Some GPU'),
    expect.stringContaining('65,536 negatives'),
  ]);
  expect(titles('cpu', 'the CPU')[1]).toContain('(PyTorch with fused AdamW, OpenMP waiting: passive)');
  for (const device of ['cpu', 'gpu'] as const) {
    const [{ columns, rows }] = tablesOf([figures(device, { missing: { some: 'why' } })], '') as [Table];
    expect(columns.at(-1)).toBe(device === 'gpu' ? 'GPU memory' : 'idle');
    expect(rows.map((row) => row.length)).toEqual(rows.map(() => columns.length));
    expect(rows[1]!.at(-1)).toBe(device === 'gpu' ? '500 MB' : '1,000 MB');
  }
});

test('a GPU that is not there is an error in the words of the engine, before anything is started', {
  timeout: 60_000,
}, () => {
  const flags = ['--device', 'gpu', '--shape', 'c', '--no-peers', '--json'];
  const end = spawnSync(process.execPath, ['--import', 'tsx', RUN, 'train-step', ...flags], {
    encoding: 'utf8',
    timeout: 55_000,
    // Hides it on a machine that has one.
    env: { ...process.env, CUDA_VISIBLE_DEVICES: '' },
  });
  expect(end, end.stderr).toMatchObject({ status: 1, stderr: '' });
  expect(JSON.parse(end.stdout)).toMatchObject({ error: { code: 'ENGINE_UNAVAILABLE' } });
  expect(JSON.parse(end.stdout).error.message).toContain('NVIDIA driver');
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
