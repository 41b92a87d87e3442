import { fileURLToPath } from 'node:url';
import type { NativeDevice } from '../../src/engine/native/config.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import { TurnProcess } from '../turn-process.ts';
import type { OurLast, OurReady, OurTask } from './our-process.ts';
import type { PeakReady, PeakTask, PeakTurn } from './peak-process.ts';
import { type OpenMp, type Precision, startTorch, type TorchLast, type TorchReady } from './torch-side.ts';

export interface SideTurn {
  readonly seconds: number;
  readonly cpu_seconds: number;
}

/** `device_peak_bytes`: null where it is not known. */
export type SideLast = OurLast & Pick<TorchLast, 'device_peak_bytes'>;

/** One way of making the same step, in a process of its own that is warm. */
export interface Side {
  readonly version: string;
  readonly compile_seconds: number;
  /** Seconds of a step when it had become steady. */
  readonly step_seconds: number;
  /** In the graph; null for a peer. */
  readonly ops: number | null;
  /** See TorchReady; null for ours. */
  readonly compile_mode: string | null;
  readonly mode_step_seconds: Readonly<Record<string, number>> | null;
  /** Takes `steps` steps: seconds of one, and of all the process's threads together. */
  turn(steps: number): Promise<SideTurn>;
  end(): Promise<SideLast>;
  kill(): void;
}

function child(file: string, task: object): readonly string[] {
  const path = fileURLToPath(new URL(file, import.meta.url));
  return ['--import', 'tsx', path, JSON.stringify(task)];
}

type Ready = Pick<TorchReady, keyof OurReady & keyof TorchReady> & Partial<OurReady & TorchReady>;

function side(process: TurnProcess<Ready, OurLast & Partial<TorchLast>>): Side {
  const { version, compile_seconds, step_seconds, ops = null } = process.ready;
  const { compile_mode = null, mode_step_seconds = null } = process.ready;
  return {
    version,
    compile_seconds,
    step_seconds,
    ops,
    compile_mode,
    mode_step_seconds,
    turn: async (steps) => {
      const { seconds, cpu_seconds } = await process.ask<SideTurn>({ steps });
      return { seconds: seconds / steps, cpu_seconds: cpu_seconds / steps };
    },
    end: async () => ({ device_peak_bytes: null, ...(await process.end()) }),
    kill: () => process.kill(),
  };
}

export async function startOurs(name: string, task: OurTask): Promise<Side> {
  return side(await TurnProcess.start<OurReady, OurLast>(name, process.execPath, child('our-process.ts', task)));
}

export interface TorchSide {
  readonly pipeline: Pipeline;
  readonly precision: Precision;
  readonly compile: boolean;
  readonly fused: boolean;
  readonly threads: number;
  readonly device: NativeDevice;
}

export const startTorchSide = async (
  name: string,
  task: TorchSide,
  openmp: OpenMp,
  signal?: AbortSignal,
): Promise<Side> => side(await startTorch(name, task, openmp, signal));

export interface Peak {
  turn(): Promise<PeakTurn>;
  end(): Promise<void>;
  kill(): void;
}

export async function startPeak(task: PeakTask): Promise<Peak> {
  const args = child('peak-process.ts', task);
  const started = await TurnProcess.start<PeakReady, object>('peak', process.execPath, args);
  return {
    turn: () => started.ask<PeakTurn>({}),
    end: async () => {
      await started.end();
    },
    kill: () => started.kill(),
  };
}
