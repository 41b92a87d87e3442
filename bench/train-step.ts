import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Option } from 'commander';
import { wholeNumber } from '../src/cli/options.ts';
import type { NativeDevice } from '../src/engine/native/config.ts';
import { type CudaDevice, cudaDevice } from '../src/engine/native/cuda-driver.ts';
import { findLibraries } from '../src/engine/native/libraries.ts';
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
  readonly device: NativeDevice;
  readonly peers: boolean;
  readonly compiledPeers: boolean;
  readonly compileLimit: number;
}

export const benchmark: Benchmark = {
  summary: 'our train step against the same step in PyTorch, eager and compiled, in float32 and bfloat16',
  options: (command) =>
    command
      .option('--shape <list>', 'a: 6 blocks of 192; b: SiT-S/2; c: the digits', shapeList, [...SHAPES])
      .addOption(
        new Option('--device <name>', 'where all sides run: the CPU, or the first NVIDIA GPU')
          .choices(['cpu', 'gpu'])
          .default('cpu'),
      )
      .option('--rounds <n>', 'turns of each side', wholeNumber(1), 7)
      .option('--turn-seconds <n>', 'about how long a turn is', wholeNumber(1), 2)
      .option('--threads <n>', 'threads of each side', wholeNumber(1), availableParallelism())
      .option('--no-peers', 'ours alone, where the peers are not installed (bench/peers/setup)')
      .option('--no-compiled-peers', 'without torch.compile, which takes some minutes to begin')
      .option('--compile-limit <seconds>', 'how long torch.compile may take before it is left out', wholeNumber(1), 900)
      .addHelpText('after', '\nExample:\n  npm run bench -- train-step --shape c --rounds 3 --no-peers --json'),
  run: (options, note) => measure(options as unknown as Options, note),
};

/** Said at once, in the words of the engine that each side would open, and not by the first process that is started. */
async function gpuOf(device: NativeDevice): Promise<CudaDevice | null> {
  if (device === 'cpu') return null;
  const gpu = cudaDevice();
  await findLibraries(device);
  return gpu;
}

async function measure(options: Options, note: (line: string) => void): Promise<BenchmarkResult> {
  const gpu = await gpuOf(options.device);
  const scratch = await mkdtemp(join(tmpdir(), 'repulsor-train-step-'));
  try {
    const measured: ShapeFigures[] = [];
    const how: ShapeOptions = { ...options, scratch };
    for (const shape of options.shape) measured.push(await measureShape(shape, how, note));
    const goals: Record<string, Goal> = Object.assign({}, ...measured.map(goalsOf));
    const { device, threads, rounds, turnSeconds } = options;
    const figures = { device, gpu, threads, rounds, turn_seconds: turnSeconds, shapes: measured };
    return { figures, goals, tables: tablesOf(measured, gpu?.name ?? 'the CPU') };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
