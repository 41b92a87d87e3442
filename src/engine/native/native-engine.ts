import { availableParallelism } from 'node:os';
import { RepulsorError } from '../../errors.ts';
import type { Engine } from '../engine.ts';
import { type CApi, loadCApi } from './c-api.ts';
import { sessionConfig } from './config.ts';
import { findLibraries } from './libraries.ts';
import { NativeProgram } from './native-program.ts';
import { roomFor } from './state-room.ts';

/** Loaded libraries stay for the life of the process, and their thread pool has the size its first session asked for. */
let loaded: { readonly api: CApi; readonly threads: number } | undefined;

/**
 * TensorFlow's own library, no compiler and no addon: a program is traced once into a graph and then runs as one
 * asynchronous call.
 * @throws RepulsorError ENGINE_UNAVAILABLE when the libraries are not there, do not load, or run with other threads.
 */
export async function openNativeEngine(threads = availableParallelism()): Promise<Engine> {
  loaded ??= { api: await load(), threads };
  if (loaded.threads !== threads) {
    throw new RepulsorError(
      'ENGINE_UNAVAILABLE',
      `the native engine runs with ${loaded.threads} threads in this process, not ${threads}`,
      {
        hint: 'TensorFlow has one thread pool a process: start another process for another number of threads',
      },
    );
  }
  const { api } = loaded;
  const config = sessionConfig(threads);
  return {
    name: 'native',
    device: 'cpu',
    threads,
    version: `TensorFlow ${api.version()}`,
    compile: (definition) => NativeProgram.compile(api, config, definition),
    room: (spec) => roomFor(api, spec),
    // Each program owns what it uses, and libraries cannot be unloaded.
    dispose: () => {},
  };
}

async function load(): Promise<CApi> {
  const libraries = await findLibraries();
  try {
    return loadCApi(libraries.framework, libraries.cc);
  } catch (error) {
    throw new RepulsorError('ENGINE_UNAVAILABLE', `TensorFlow's libraries do not load: ${(error as Error).message}`, {
      hint: 'they need Linux x86-64 with glibc 2.27 or newer; run: node setup.js --engine native',
      cause: error,
    });
  }
}
