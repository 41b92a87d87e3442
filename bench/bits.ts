import { collect, wholeNumber } from '../src/cli/options.ts';
import { type Benchmark, type BenchmarkResult, goal } from './benchmark.ts';
import type { BitsFigures, BitsTask } from './bits/bits-process.ts';
import { runChild } from './child.ts';
import { SHAPES, type Shape, shapeList } from './train-step/shapes.ts';

interface Options {
  readonly shape: readonly Shape[];
  readonly processes: number;
  readonly steps: number;
  readonly set: readonly string[];
}

export const benchmark: Benchmark = {
  summary: 'whether the train step gives the same bits in every process, under load',
  options: (command) =>
    command
      .option('--shape <list>', 'a: 6 blocks of 192; b: SiT-S/2; c: the digits', shapeList, [...SHAPES])
      .option('--processes <n>', 'new processes, all at once: each is a load for the others', wholeNumber(2), 5)
      .option('--steps <n>', 'steps of each', wholeNumber(1), 3)
      .option('--set <path=value>', 'a setting of the pipeline; may be repeated', collect, [])
      .addHelpText('after', '\nExample:\n  npm run bench -- bits --shape c --processes 2 --json'),
  run: (options, note) => measure(options as unknown as Options, note),
};

async function measure(options: Options, note: (line: string) => void): Promise<BenchmarkResult> {
  const { processes, steps, set: overrides } = options;
  const measured = [];
  for (const shape of options.shape) {
    note(`shape ${shape}: ${processes} processes ...`);
    const task: BitsTask = { shape, overrides, steps };
    const made = await Promise.all(
      Array.from({ length: processes }, () =>
        runChild<BitsFigures>(new URL('bits/bits-process.ts', import.meta.url), task),
      ),
    );
    const distinct = Array.from({ length: steps + 1 }, (_, i) => new Set(made.map(({ digests }) => digests[i])).size);
    const first = distinct.findIndex((count) => count > 1);
    measured.push({
      shape,
      engine: made[0]!.engine,
      distinct: Math.max(...distinct),
      /** The step whose outputs differ first, `steps + 1` where only the state does; null when nothing does. */
      first_difference: first < 0 ? null : first + 1,
      digest: made[0]!.digests.at(-1)!,
    });
  }
  return {
    figures: { processes, steps, settings: overrides, shapes: measured },
    goals: Object.fromEntries(measured.map(({ shape, distinct }) => [`distinct_${shape}`, goal(distinct, '<=', 1)])),
    tables: [
      {
        title: `Digests of ${steps} steps and the state after them, in ${processes} processes at once`,
        columns: ['shape', 'engine', 'distinct', 'first difference', 'digest'],
        rows: measured.map(({ shape, engine, distinct, first_difference, digest }) => [
          shape,
          engine,
          distinct,
          first_difference ?? '-',
          digest.slice(0, 16),
        ]),
      },
    ],
  };
}
