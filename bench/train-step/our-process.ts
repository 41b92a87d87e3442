/** A child of the train-step benchmark: our train step, warm, a few steps whenever it is asked. */

import { openEngine } from '../../src/engine/choose.ts';
import type { HostTensors } from '../../src/engine/engine.ts';
import type { NativeDevice } from '../../src/engine/native/config.ts';
import { normals } from '../../src/random/philox.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import { compileStep, runStep } from '../../src/trainer/run-step.ts';
import { initialState } from '../../src/trainer/train-state.ts';
import { trainingLanes } from '../../src/trainer/training-lanes.ts';
import { task } from '../child.ts';
import { forgetPeak, peakBytes, residentBytes } from '../peak-memory.ts';
import { takeTurns } from '../turn-process.ts';
import { givenBatch, unitRows } from './given-values.ts';

export interface OurTask {
  readonly pipeline: Pipeline;
  readonly threads: number;
  readonly device: NativeDevice;
}

/** Steps that warm up, and then steps that are timed: a GPU's take milliseconds. As in bench/peers/sit_torch.py. */
const WARM_UP = { cpu: [2, 2], gpu: [20, 40] } as const;

export interface OurReady {
  readonly version: string;
  /** Of one process: from the pipeline to the end of its first step, less a usual step. */
  readonly compile_seconds: number;
  readonly step_seconds: number;
  /** In TensorFlow's graph. */
  readonly ops: number;
}

export interface OurLast {
  /** Most bytes resident over the process's life, while it took turns, and with the engine loaded and nothing in it. */
  readonly peak_bytes: number;
  readonly turns_peak_bytes: number;
  readonly idle_bytes: number;
}

const { pipeline, threads, device }: OurTask = task();
const { engine } = await openEngine({ name: `native-${device}`, threads, lanes: trainingLanes(pipeline) });
const idle_bytes = residentBytes();

/** As it is in the middle of a run: a full queue. */
function fullState(): HostTensors {
  const state = initialState(pipeline, engine.room);
  const rows = state['queue.rows'];
  if (rows === undefined) return state;
  const [k, dim] = rows.shape as [number, number];
  rows.data.set(unitRows(normals(0, 'bench/queue', 0, k * dim), dim));
  state['queue.valid']!.data[0] = k;
  return state;
}

const state = fullState();
const batch = givenBatch(pipeline, 0);
let begun = performance.now();
const seconds = (): number => (performance.now() - begun) / 1000;
const program = await compileStep(engine, pipeline, state);
for (const name of Object.keys(state)) delete state[name];
// Past every ramp: the queue counts in full.
let step = 1_000_000;
const steps = async (count: number): Promise<number> => {
  begun = performance.now();
  for (let i = 0; i < count; i++) await runStep(program, pipeline, batch, step++);
  return seconds();
};
await runStep(program, pipeline, batch, step++);
const first = seconds();
const [warming, timed] = WARM_UP[device];
await steps(warming);
const steady = (await steps(timed)) / timed;
const whole = peakBytes() ?? Number.NaN;
forgetPeak();

await takeTurns<{ steps: number }>(
  {
    version: engine.version,
    compile_seconds: Math.max(0, first - steady),
    step_seconds: steady,
    ops: program.compiled.ops,
  } satisfies OurReady,
  async ({ steps: count }) => {
    const before = process.cpuUsage();
    const taken = await steps(count);
    const { user, system } = process.cpuUsage(before);
    return { seconds: taken, cpu_seconds: (user + system) / 1e6 };
  },
  () => {
    const turns = peakBytes() ?? Number.NaN;
    return { peak_bytes: Math.max(whole, turns), turns_peak_bytes: turns, idle_bytes } satisfies OurLast;
  },
);
program.dispose();
