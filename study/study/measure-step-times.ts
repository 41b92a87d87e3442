import { loadavg } from 'node:os';
import { describeMachine } from '../../bench/machine.ts';
import { spread } from '../../bench/spread.ts';
import { givenBatch } from '../../bench/train-step/given-values.ts';
import { inTurns, ratios } from '../../bench/turns.ts';
import { loadPipeline } from '../../src/cli/load-pipeline.ts';
import { openEngine } from '../../src/engine/choose.ts';
import type { Program } from '../../src/engine/engine.ts';
import { compileStep, runStep } from '../../src/trainer/run-step.ts';
import { initialState } from '../../src/trainer/train-state.ts';
import type { ImageSetOfStudy } from './sets.ts';
import type { StepTime, StepTimes } from './step-times.ts';
import { PLAIN } from './variants.ts';

export interface TimeSettings {
  readonly threads: number;
  readonly rounds: number;
  readonly stepsATurn: number;
  readonly note: (line: string) => void;
}

/** Steps that nobody counts: the graph is optimized at the first. */
const WARM_UP = 3;
/** Past every ramp. */
const FIRST_STEP = 1_000_000;

export async function measureStepTimes(sets: readonly ImageSetOfStudy[], settings: TimeSettings): Promise<StepTimes> {
  const { threads, rounds } = settings;
  const { cpu, load } = describeMachine();
  const measured: Record<string, Record<string, StepTime>> = {};
  for (const set of sets) measured[set.name] = await ofSet(set, settings);
  const after = loadavg()[0]!;
  return { date: new Date().toISOString(), cpu, threads, rounds, load: [load, after], sets: measured };
}

async function ofSet(
  set: ImageSetOfStudy,
  { threads, rounds, stepsATurn, note }: TimeSettings,
): Promise<Record<string, StepTime>> {
  const { engine } = await openEngine({ name: 'auto', threads });
  const programs: Program[] = [];
  try {
    const ways: Record<string, () => Promise<number>> = {};
    const wall: Record<string, number[]> = {};
    for (const { name, overrides } of set.variants.filter(({ budget }) => budget === 'steps')) {
      const pipeline = await loadPipeline(set.pipeline, overrides);
      const program = await compileStep(engine, pipeline, initialState(pipeline, engine.room));
      programs.push(program);
      const batch = givenBatch(pipeline, 0);
      let step = FIRST_STEP;
      const run = async (steps: number) => {
        for (let i = 0; i < steps; i++) await runStep(program, pipeline, batch, step++);
      };
      await run(WARM_UP);
      wall[name] = [];
      ways[name] = async () => {
        const [begun, used] = [performance.now(), process.cpuUsage()];
        await run(stepsATurn);
        const { user, system } = process.cpuUsage(used);
        wall[name]!.push((performance.now() - begun) / 1e3 / stepsATurn);
        return (user + system) / 1e6 / stepsATurn;
      };
    }
    note(`${set.name}: ${Object.keys(ways).length} variants in turns, ${rounds} rounds of ${stepsATurn} steps`);
    const cpu = await inTurns(rounds, ways);
    return Object.fromEntries(
      Object.keys(ways).map((name) => [
        name,
        {
          cpuSeconds: spread(cpu[name]!),
          overPlain: ratios(cpu[name]!, cpu[PLAIN]!),
          wallSeconds: spread(wall[name]!),
          wallOverPlain: ratios(wall[name]!, wall[PLAIN]!),
        },
      ]),
    );
  } finally {
    for (const program of programs) program.dispose();
    engine.dispose();
  }
}
