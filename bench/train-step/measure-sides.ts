import type { NativeDevice } from '../../src/engine/native/config.ts';
import { spread } from '../spread.ts';
import { inTurns } from '../turns.ts';
import type { PeakTurn } from './peak-process.ts';
import { type Side, type SideLast, startPeak } from './sides.ts';
import { type Start, startSides } from './start-sides.ts';

interface TurnOptions {
  readonly rounds: number;
  /** About how long a turn is. */
  readonly turnSeconds: number;
  readonly threads: number;
  readonly device: NativeDevice;
}

export interface SideLife extends SideLast, Pick<Side, 'compile_mode' | 'mode_step_seconds'> {
  readonly version: string;
  /** From the pipeline to the end of the first step, less a usual step. */
  readonly compile_seconds: number;
  /** In the graph; null for a peer. */
  readonly ops: number | null;
}

interface Measured {
  readonly sides: Record<string, SideLife>;
  /** Sides that were left out, and why. */
  readonly missing: Readonly<Record<string, string>>;
  /** Of a step, by side, turn by turn. */
  readonly seconds: Record<string, number[]>;
  /** The same of all its threads together: on a busy machine it says more. */
  readonly cpuSeconds: Record<string, number[]>;
  readonly peaks: PeakTurn[];
}

/** Starts the sides one after another, lets them take turns, and ends them. */
export async function measureSides(
  starts: Readonly<Record<string, Start>>,
  options: TurnOptions,
  say: (line: string) => void,
): Promise<Measured> {
  const started = new Map<string, Side>();
  const missing: Record<string, string> = {};
  const peak = await startPeak({ threads: options.threads, device: options.device });
  try {
    await startSides(starts, say, { sides: started, missing });
    // All take the same number of steps, of the usual one about as many seconds as a turn has. Not of the slowest: one
    // that warmed up in a bad moment would leave the turns of all too short to mean anything.
    const usual = spread([...started.values()].map(({ step_seconds }) => step_seconds)).median;
    const steps = Math.max(1, Math.round(options.turnSeconds / usual));
    say(`${options.rounds} rounds of ${steps} steps ...`);
    const peaks: PeakTurn[] = [];
    const takePeak = async (): Promise<number> => peaks.push(await peak.turn());
    const cpuSeconds: Record<string, number[]> = {};
    const turns = [...started].map(([name, side]) => {
      const cpu: number[] = [];
      cpuSeconds[name] = cpu;
      const turn = async (): Promise<number> => {
        const { seconds, cpu_seconds } = await side.turn(steps);
        cpu.push(cpu_seconds);
        return seconds;
      };
      return [name, turn] as const;
    });
    const seconds: Record<string, number[]> = await inTurns(options.rounds, {
      ...Object.fromEntries(turns),
      peak: takePeak,
    });
    delete seconds['peak'];
    const sides: Measured['sides'] = {};
    for (const [name, side] of started) {
      const { version, compile_seconds, ops, compile_mode, mode_step_seconds } = side;
      sides[name] = { version, compile_seconds, ops, compile_mode, mode_step_seconds, ...(await side.end()) };
    }
    await peak.end();
    return { sides, missing, seconds, cpuSeconds, peaks };
  } finally {
    for (const side of [peak, ...started.values()]) side.kill();
  }
}
