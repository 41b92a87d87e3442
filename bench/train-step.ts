import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { wholeNumber } from '../src/cli/options.ts';
import type { Benchmark, BenchmarkResult, Goal } from './benchmark.ts';
import { goalsOf } from './train-step/goals.ts';
import { measureShape, type ShapeFigures, type ShapeOptions } from './train-step/measure-shape.ts';
import { SHAPES, type Shape, shapeList } from './train-step/shapes.ts';
import { tablesOf } from './train-step/tables.ts';

interface Options {
  readonly shape: readonly Shape[];
  readonly rounds: number;
  readonly turnSeconds: number;
  readonly threads: number;
  readonly peers: boolean;
  readonly compiledPeers: boolean;
  readonly compileLimit: number;
}

export const benchmark: Benchmark = {
  summary: 'our train step against the same step in PyTorch, eager and compiled, in float32 and bfloat16',
  options: (command) =>
    command
      .option('--shape <list>', 'a: 6 blocks of 192; b: SiT-S/2; c: the digits', shapeList, [...SHAPES])
      .option('--rounds <n>', 'turns of each side', wholeNumber(1), 7)
      .option('--turn-seconds <n>', 'about how long a turn is', wholeNumber(1), 2)
      .option('--threads <n>', 'threads of each side', wholeNumber(1), availableParallelism())
      .option('--no-peers', 'ours alone, where the peers are not installed (bench/peers/setup)')
      .option('--no-compiled-peers', 'without torch.compile, which takes some minutes to begin')
      .option('--compile-limit <seconds>', 'how long torch.compile may take before it is left out', wholeNumber(1), 900)
      .addHelpText('after', '\nExample:\n  npm run bench -- train-step --shape c --rounds 3 --no-peers --json'),
  run: (options, note) => measure(options as unknown as Options, note),
};

async function measure(options: Options, note: (line: string) => void): Promise<BenchmarkResult> {
  const scratch = await mkdtemp(join(tmpdir(), 'repulsor-train-step-'));
  try {
    const measured: ShapeFigures[] = [];
    const how: ShapeOptions = { ...options, scratch };
    for (const shape of options.shape) measured.push(await measureShape(shape, how, note));
    const goals: Record<string, Goal> = Object.assign({}, ...measured.map(goalsOf));
    const { threads, rounds, turnSeconds } = options;
    const figures = { threads, rounds, turn_seconds: turnSeconds, shapes: measured };
    return { figures, goals, tables: tablesOf(measured) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
