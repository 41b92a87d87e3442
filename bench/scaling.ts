import { availableParallelism } from 'node:os';
import { InvalidArgumentError } from 'commander';
import { wholeNumber } from '../src/cli/options.ts';
import type { Benchmark, BenchmarkResult } from './benchmark.ts';
import { type Spread, spread } from './spread.ts';
import { megabytes, short, type Table } from './table.ts';
import { measureSides } from './train-step/measure-sides.ts';
import { stepWork } from './train-step/products.ts';
import { shapePipeline } from './train-step/shapes.ts';
import { startOurs } from './train-step/sides.ts';
import { ratios } from './turns.ts';

interface Options {
  readonly axis: readonly Axis[];
  readonly rounds: number;
  readonly turnSeconds: number;
  readonly threads: number;
}

/** What grows, each from shape (a): the settings of each point, by what it is called. The first is what others are compared with. */
const AXES = {
  batch: { 16: ['operators.batch=16'], 32: ['operators.batch=32'], 64: [], 128: ['operators.batch=128'] },
  depth: { 3: ['model.depth=3'], 6: [], 12: ['model.depth=12'] },
  tokens: { 16: ['model.patch=8'], 64: [], 256: ['model.patch=2', 'operators.batch=16'] },
  K: {
    4096: [],
    16384: ['losses.repulsion.queue=16384'],
    65536: ['losses.repulsion.queue=65536'],
    262144: ['losses.repulsion.queue=262144'],
  },
} as const satisfies Record<string, Record<number, readonly string[]>>;

type Axis = keyof typeof AXES;

export const benchmark: Benchmark = {
  summary: 'how the step of shape (a) and its memory grow with batch, depth, tokens and K',
  options: (command) =>
    command
      .option('--axis <list>', Object.keys(AXES).join(', '), axes, Object.keys(AXES) as Axis[])
      .option('--rounds <n>', 'turns of each point', wholeNumber(1), 5)
      .option('--turn-seconds <n>', 'about how long a turn is', wholeNumber(1), 2)
      .option('--threads <n>', 'threads of each', wholeNumber(1), availableParallelism())
      .addHelpText('after', '\nExample:\n  npm run bench -- scaling --axis K --rounds 3 --json'),
  run: (options, note) => measure(options as unknown as Options, note),
};

function axes(text: string): Axis[] {
  return text.split(',').map((part) => {
    if (Object.hasOwn(AXES, part.trim())) return part.trim() as Axis;
    throw new InvalidArgumentError(`Give one or more of ${Object.keys(AXES).join(', ')}.`);
  });
}

interface Point {
  readonly images_per_second: Spread;
  readonly step_seconds: Spread;
  /** Of an image, over that of the axis's first point, turn by turn; and what the operations of both would say. */
  readonly image_cost: Spread;
  readonly image_flops: number;
  readonly flops: number;
  readonly peak_bytes: number;
}

async function measure(options: Options, note: (line: string) => void): Promise<BenchmarkResult> {
  const figures: Record<string, Record<string, Point>> = {};
  for (const axis of options.axis) figures[axis] = await measureAxis(axis, options, (line) => note(`${axis}: ${line}`));
  return { figures: { shape: 'a', axes: figures }, goals: {}, tables: Object.entries(figures).map(tableOf) };
}

/** All points of an axis take turns. */
async function measureAxis(axis: Axis, options: Options, say: (line: string) => void): Promise<Record<string, Point>> {
  const points = await Promise.all(
    Object.entries<readonly string[]>(AXES[axis]).map(async ([name, overrides]) => {
      const pipeline = await shapePipeline('a', overrides);
      return { name, batch: pipeline.operators.batch, flops: stepWork(pipeline).flops, pipeline };
    }),
  );
  const { threads } = options;
  const starts = points.map(
    ({ name, pipeline }) => [name, { start: () => startOurs(name, { pipeline, threads, device: 'cpu' }) }] as const,
  );
  const { sides, seconds } = await measureSides(Object.fromEntries(starts), { ...options, device: 'cpu' }, say);
  const perImage = (point: (typeof points)[number]): number[] => seconds[point.name]!.map((step) => step / point.batch);
  const first = points[0]!;
  return Object.fromEntries(
    points.map((point) => [
      point.name,
      {
        images_per_second: spread(perImage(point).map((image) => 1 / image)),
        step_seconds: spread(seconds[point.name]!),
        image_cost: ratios(perImage(point), perImage(first)),
        image_flops: point.flops / point.batch / (first.flops / first.batch),
        flops: point.flops,
        peak_bytes: sides[point.name]!.peak_bytes,
      },
    ]),
  );
}

function tableOf([axis, points]: [string, Record<string, Point>]): Table {
  return {
    title: `By ${axis}: shape (a) otherwise${axis === 'tokens' ? '; of 256 tokens batches of 16' : ''}`,
    columns: [axis, 'images/s', 'ms a step', 'GFLOP a step', 'cost of an image', 'by its FLOP', 'peak RSS'],
    rows: Object.entries(points).map(([name, point]) => [
      Number(name).toLocaleString('en-US'),
      short(point.images_per_second.median),
      short(point.step_seconds.median * 1e3),
      point.flops / 1e9,
      short(point.image_cost.median),
      point.image_flops,
      megabytes(point.peak_bytes),
    ]),
  };
}
