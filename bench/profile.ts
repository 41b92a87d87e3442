import { Option } from 'commander';
import { wholeNumber } from '../src/cli/options.ts';
import { openEngine } from '../src/engine/choose.ts';
import type { OpTime } from '../src/engine/engine.ts';
import { compileStep, stepFeed } from '../src/trainer/run-step.ts';
import { initialState } from '../src/trainer/train-state.ts';
import { trainingLanes } from '../src/trainer/training-lanes.ts';
import type { Benchmark, BenchmarkResult } from './benchmark.ts';
import { spread } from './spread.ts';
import { givenBatch } from './train-step/given-values.ts';
import { SHAPES, type Shape, shapePipeline } from './train-step/shapes.ts';

interface ProfileOptions {
  readonly shape: Shape;
  readonly steps: number;
  readonly rows: number;
  readonly set: readonly string[];
}

/** Ops of one kind, or of one piece of code, in one step: the mean over the profiled steps. */
interface Share {
  readonly name: string;
  readonly count: number;
  readonly seconds: number;
  readonly share: number;
  readonly bytes: number;
}

export const benchmark: Benchmark = {
  summary: 'where the time of a train step goes: by op, and by the code that made it',
  options: (command) =>
    command
      .addOption(new Option('--shape <name>', 'a, b or c (bench/train-step/shapes.ts)').choices(SHAPES).default('a'))
      .option('--steps <n>', 'steps profiled', wholeNumber(1), 5)
      .option('--rows <n>', 'rows shown of each table', wholeNumber(1), 25)
      .option('--set <path=value...>', "one of the pipeline's settings, for this run", [])
      .addHelpText('after', '\nExample:\n  npm run bench -- profile --shape c --json'),
  run: (options, note) => profile(options as unknown as ProfileOptions, note),
};

const WARM_UP = 3;

async function profile(
  { shape, steps, rows, set }: ProfileOptions,
  note: (line: string) => void,
): Promise<BenchmarkResult> {
  const pipeline = await shapePipeline(shape, set);
  const { engine } = await openEngine({ name: 'native', lanes: trainingLanes(pipeline) });
  const program = await compileStep(engine, pipeline, initialState(pipeline, engine.room));
  const feed = (step: number) => stepFeed(pipeline, givenBatch(pipeline, step), step);
  try {
    let step = 1;
    const first = performance.now();
    await program.run(feed(step), step++);
    const firstSeconds = (performance.now() - first) / 1000;
    while (step <= WARM_UP) await program.run(feed(step), step++);

    note(`${steps} steps as they are ...`);
    const wall: number[] = [];
    const cpu: number[] = [];
    for (let i = 0; i < steps; i++) {
      const batch = feed(step);
      const [begun, used] = [performance.now(), process.cpuUsage()];
      await program.run(batch, step++);
      const { user, system } = process.cpuUsage(used);
      wall.push((performance.now() - begun) / 1000);
      cpu.push((user + system) / 1e6);
    }

    note(`${steps} steps profiled ...`);
    const ops: OpTime[] = [];
    const busy: number[] = [];
    for (let i = 0; i < steps; i++) {
      const run = await program.profile!(feed(step), step++);
      ops.push(...run);
      busy.push(sum(run.map((op) => op.seconds)) / Math.max(...run.map((op) => op.start + op.seconds)));
    }
    const byType = shares(ops, steps, (op) => op.type);
    const byCode = shares(ops, steps, fileOf);
    return {
      figures: {
        shape,
        compile_seconds: program.compiled.seconds,
        graph_ops: program.compiled.ops,
        first_step_seconds: firstSeconds,
        ops_run: ops.length / steps,
        step_seconds: spread(wall),
        cpu_seconds: spread(cpu),
        cores_busy: spread(cpu.map((seconds, i) => seconds / wall[i]!)),
        ops_at_once: spread(busy),
        by_type: byType,
        by_code: byCode,
      },
      goals: {},
      tables: [
        {
          title: `Shape ${shape}: one step`,
          columns: [
            'ops traced',
            'ops run',
            'compile s',
            'first step s',
            'step ms',
            'CPU ms',
            'cores busy',
            'ops at once',
          ],
          rows: [
            [
              program.compiled.ops,
              ops.length / steps,
              program.compiled.seconds,
              firstSeconds,
              spread(wall).median * 1e3,
              spread(cpu).median * 1e3,
              spread(cpu).median / spread(wall).median,
              spread(busy).median,
            ],
          ],
        },
        table('By op', byType.slice(0, rows)),
        table('By code', byCode.slice(0, rows)),
      ],
    };
  } finally {
    program.dispose();
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** The file whose code made it: `src/model/linear.ts`, `the gradient of src/model/linear.ts`. */
const fileOf = ({ code }: OpTime): string =>
  code?.replace(/:\d+:\d+$/, '') ?? 'state, inputs, random numbers, constants';

function shares(ops: readonly OpTime[], steps: number, key: (op: OpTime) => string): Share[] {
  const groups = new Map<string, OpTime[]>();
  for (const op of ops) {
    const group = groups.get(key(op));
    if (group === undefined) groups.set(key(op), [op]);
    else group.push(op);
  }
  const all = sum(ops.map((op) => op.seconds));
  return [...groups]
    .map(([name, group]) => {
      const seconds = sum(group.map((op) => op.seconds));
      const bytes = sum(group.map((op) => op.bytes)) / steps;
      return { name, count: group.length / steps, seconds: seconds / steps, share: seconds / all, bytes };
    })
    .sort((a, b) => b.seconds - a.seconds);
}

const table = (title: string, rows: readonly Share[]) => ({
  title: `${title}: the mean of a step`,
  columns: ['', 'ops', 'ms', 'share', 'MB of results'],
  rows: rows.map(({ name, count, seconds, share, bytes }) => [name, count, seconds * 1e3, share, bytes / 1e6]),
});
