import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { RepulsorError } from '../../errors.ts';
import { silenceCpuBackend } from '../cpu-backend.ts';
import type { Engine } from '../engine.ts';
import { EagerProgram } from './eager-program.ts';
import { mendKernels } from './mended-kernels.ts';

const require = createRequire(import.meta.url);

const version = (name: string): string => (require(`@tensorflow/${name}/package.json`) as { version: string }).version;

async function use(backend: 'wasm' | 'cpu'): Promise<void> {
  let reason = 'the backend did not initialise';
  const ready = await tf.setBackend(backend).catch((error: Error) => {
    reason = error.message;
    return false;
  });
  if (ready) return;
  throw new RepulsorError('ENGINE_UNAVAILABLE', `the ${backend} engine cannot be started: ${reason}`, {
    hint: 'reinstall the dependencies (npm ci), or choose another engine',
  });
}

/**
 * WebAssembly op by op. One thread: tfjs's threaded build needs a browser's workers (tensorflow/tfjs issue 3830), so
 * under Node it is never loaded. Runs on the calling thread: that thread is busy while a step runs.
 */
export async function openWasmEngine(): Promise<Engine> {
  const wasm = await import('@tensorflow/tfjs-backend-wasm');
  wasm.setWasmPaths(dirname(require.resolve('@tensorflow/tfjs-backend-wasm')) + sep);
  await withoutNewListeners(() => use('wasm'));
  mendKernels('wasm');
  return engine('wasm', `tfjs-wasm ${version('tfjs-backend-wasm')}`);
}

/**
 * tfjs's WebAssembly module, made by Emscripten, takes hold of the process's uncaught errors and throws them again:
 * Node then prints the module's one line of 90 KB in front of every message, and other handlers lose them.
 */
async function withoutNewListeners(work: () => Promise<void>): Promise<void> {
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = events.map((event) => new Set<unknown>(process.listeners(event as 'uncaughtException')));
  await work();
  for (const [i, event] of events.entries()) {
    for (const listener of process.listeners(event as 'uncaughtException')) {
      if (!before[i]!.has(listener)) process.off(event, listener);
    }
  }
}

/** Plain JavaScript op by op: slow, needs nothing, and the reference the other engines are tested against. */
export async function openCpuEngine(): Promise<Engine> {
  await import('@tensorflow/tfjs-backend-cpu');
  await use('cpu');
  silenceCpuBackend();
  mendKernels('cpu');
  return engine('cpu', `tfjs-cpu ${version('tfjs-backend-cpu')}`);
}

const engine = (name: 'wasm' | 'cpu', library: string): Engine => ({
  name,
  device: 'cpu',
  threads: 1,
  lanes: 1,
  version: library,
  bfloat16: 'none',
  compile: async (definition) => {
    if (definition.precision === 'bf16') {
      throw new RepulsorError('ENGINE_UNAVAILABLE', `the ${name} engine has no bfloat16`, {
        hint: 'use the native engine, or --precision fp32',
      });
    }
    return new EagerProgram(name, definition);
  },
  room: ({ shape, dtype }) => {
    const size = tf.util.sizeFromShape([...shape]);
    return { shape: [...shape], dtype, data: dtype === 'float32' ? new Float32Array(size) : new Int32Array(size) };
  },
  // The backend stays: tfjs shares it by the whole process, and it holds no tensors but those of programs.
  dispose: () => {},
});
