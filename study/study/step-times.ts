import { readFile, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { describeMachine } from '../../bench/machine.ts';
import { type Spread, spread } from '../../bench/spread.ts';
import { givenBatch } from '../../bench/train-step/given-values.ts';
import { inTurns, ratios } from '../../bench/turns.ts';
import { loadPipeline } from '../../src/cli/load-pipeline.ts';
import { openEngine } from '../../src/engine/choose.ts';
import type { Program } from '../../src/engine/engine.ts';
import { compileStep, runStep } from '../../src/trainer/run-step.ts';
import { initialState } from '../../src/trainer/train-state.ts';
import type { ImageSetOfStudy, SetName } from './sets.ts';
import { PLAIN } from './variants.ts';

/** Of a step; over a step of plain, round by round. */
export interface StepTime {
  /** Processor time of the whole process: with one thread what a step takes where nobody else computes. */
  readonly cpuSeconds: Spread;
  readonly overPlain: Spread;
  /** By the clock, as it was here. */
  readonly wallSeconds: Spread;
  readonly wallOverPlain: Spread;
}

/** What a step of each variant takes: measured in turns, so that a busy machine moves all alike. */
export interface StepTimes {
  readonly date: string;
  readonly cpu: string;
  readonly threads: number;
  readonly rounds: number;
  /** Runnable processes over the last minute, before and after. */
  readonly load: readonly [number, number];
  readonly sets: Readonly<Partial<Record<SetName, Readonly<Record<string, StepTime>>>>>;
}

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
      const program = await compileStep(engine, pipeline, initialState(pipeline));
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

/** As they were measured before, for all of the sets; null where they were not. */
export async function storedStepTimes(file: string, sets: readonly ImageSetOfStudy[]): Promise<StepTimes | null> {
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return null;
  const times = JSON.parse(text) as StepTimes;
  return sets.every(({ name }) => times.sets[name] !== undefined) ? times : null;
}

export const storeStepTimes = (file: string, times: StepTimes): Promise<void> =>
  writeFile(file, `${JSON.stringify(times, null, 2)}\n`);
