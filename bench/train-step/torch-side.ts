import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { NativeDevice } from '../../src/engine/native/config.ts';
import { RepulsorError } from '../../src/errors.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import { peerEnvironment, peerPython } from '../peers/python.ts';
import { TurnProcess } from '../turn-process.ts';
import type { CheckOutcome } from './check-process.ts';

const SCRIPT = fileURLToPath(new URL('../peers/sit_torch.py', import.meta.url));
const run = promisify(execFile);

export type Precision = 'fp32' | 'bf16';

interface Task {
  readonly pipeline: Pipeline;
  readonly precision: Precision;
  /** torch.compile instead of eager. */
  readonly compile: boolean;
  /** AdamW's fused kernel instead of foreach. */
  readonly fused: boolean;
  readonly threads: number;
  readonly device: NativeDevice;
  /** A file of check-process.ts to take `steps` from; null to take turns. */
  readonly check: string | null;
  readonly steps: number;
}

export interface TorchReady {
  readonly version: string;
  readonly compile_seconds: number;
  readonly step_seconds: number;
  /** Of torch.compile's modes that are tried on the device the fastest, and a step's seconds in each; null of an eager side. */
  readonly compile_mode: string | null;
  readonly mode_step_seconds: Readonly<Record<string, number>> | null;
}

export interface TorchLast {
  readonly peak_bytes: number;
  readonly turns_peak_bytes: number;
  readonly idle_bytes: number;
  /** Most bytes of the GPU's memory in tensors; null on the CPU. */
  readonly device_peak_bytes: number | null;
}

/**
 * How OpenMP's threads wait for each other: by default they spin for some milliseconds, which is quick where each has a
 * core, and slows PyTorch down tenfold and more where others want these cores; passive ones sleep.
 */
export type OpenMp = 'default' | 'passive';

function environment(openmp: OpenMp): NodeJS.ProcessEnv {
  return { ...peerEnvironment(), ...(openmp === 'passive' && { OMP_WAIT_POLICY: 'passive' }) };
}

type Check = Pick<Task, 'pipeline' | 'threads' | 'device' | 'steps'> & { readonly check: string };

/** What PyTorch makes of given values, and which of its ways is the faster one on this machine, as busy as it is. */
export async function checkTorch(
  task: Check,
): Promise<CheckOutcome & { readonly fused: boolean; readonly openmp: OpenMp }> {
  const byDefault = await checkWith('default', task);
  // A GPU's steps wait for no OpenMP thread.
  if (task.device === 'gpu') return { ...byDefault, openmp: 'default' };
  const passive = await checkWith('passive', task);
  return byDefault.seconds <= passive.seconds ? { ...byDefault, openmp: 'default' } : { ...passive, openmp: 'passive' };
}

async function checkWith(
  openmp: OpenMp,
  task: Check,
): Promise<CheckOutcome & { readonly fused: boolean; readonly seconds: number }> {
  const whole: Task = { ...task, precision: 'fp32', compile: false, fused: true };
  try {
    const { stdout } = await run(peerPython(), [SCRIPT, JSON.stringify(whole)], { env: environment(openmp) });
    return JSON.parse(stdout.trim().split('\n').at(-1)!);
  } catch (cause) {
    if (cause instanceof RepulsorError) throw cause;
    throw new RepulsorError('USAGE', `PyTorch's step failed: ${(cause as { stderr?: string }).stderr ?? cause}`, {
      hint: 'bench/peers/setup --again installs the peers anew',
      cause,
    });
  }
}

export function startTorch(
  name: string,
  task: Omit<Task, 'check' | 'steps'>,
  openmp: OpenMp,
  signal?: AbortSignal,
): Promise<TurnProcess<TorchReady, TorchLast>> {
  const whole: Task = { ...task, check: null, steps: 0 };
  return TurnProcess.start(name, peerPython(), [SCRIPT, JSON.stringify(whole)], environment(openmp), signal);
}
