import { closeSync, openSync } from 'node:fs';
import type { LibraryHandle } from 'koffi';
import { koffi } from './ffi.ts';
import type { Libraries } from './libraries.ts';

/**
 * Loads TensorFlow, once a process: it stays loaded until that ends. `framework` before `cc`, which links to it, and before both
 * what they look for by name: a library that is loaded already is found whatever its folder. Returns what finds a function by
 * its declaration in C.
 * @throws Error naming the file, or the function, that is not there
 */
export function loadLibraries({
  framework,
  cc,
  preload,
}: Libraries): (declaration: string) => ReturnType<LibraryHandle['func']> {
  for (const path of preload) load(path);
  const first = withoutRemarks(() => load(framework));
  logErrorsOnly(first);
  const second = load(cc);
  for (const path of [...preload, framework, cc]) keepLoaded(path);
  return (declaration) => {
    try {
      return second.func(declaration);
    } catch {
      return first.func(declaration); // The wheel splits the API between its two libraries.
    }
  };
}

/** Its symbols are there for what is loaded after it. @throws Error naming the file, which the loader's words do not */
function load(path: string): LibraryHandle {
  try {
    return koffi.load(path, { global: true });
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Else TensorFlow prints remarks about its CPU's features and the like to standard error at every start. Its variable
 * TF_CPP_MIN_LOG_LEVEL is read by its Python part only, and the C API has no function for it: this is the one of the
 * logging library inside (absl/log/globals.h), under the name it has in this very version. Of no other importance.
 */
function logErrorsOnly(framework: LibraryHandle): void {
  const ERROR = 2;
  try {
    framework.func('_ZN4absl12lts_2025081414SetMinLogLevelENS0_18LogSeverityAtLeastE', 'void', ['int'])(ERROR);
  } catch {
    // Another version: it prints its remarks.
  }
}

/**
 * Deterministic kernels only, and float32 products in float32, not in TF32, on a GPU. The C API has no functions for it: these
 * are those behind tf.config's (tsl/platform/tensor_float_32_utils.h, xla/tsl/util/determinism.h), under the names that
 * they have in this very version. Bits depend on both, so that their absence is an error.
 */
export function exactOnGpu(framework: string): void {
  const library = koffi.load(framework);
  library.func('_ZN3tsl19EnableOpDeterminismEb', 'void', ['bool'])(true);
  library.func('_ZN3tsl32enable_tensor_float_32_executionEb', 'void', ['bool'])(false);
}

/**
 * Node unloads what it loaded when it ends, and the framework does not survive that: a process that had not run a program
 * yet would die of a segmentation fault instead of ending with its status. A library marked so is never unloaded.
 */
function keepLoaded(path: string): void {
  const [RTLD_NOW, RTLD_NOLOAD, RTLD_NODELETE] = [0x2, 0x4, 0x1000];
  koffi.load(null).func('void *dlopen(const char *, int)')(path, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

/**
 * While it is being loaded the framework says on standard error that oneDNN is on, and that it says so too early,
 * before anything could tell it not to. Loading errors are not lost: the loader reports them to its caller.
 */
function withoutRemarks<T>(load: () => T): T {
  const libc = koffi.load(null);
  const dup = libc.func('int dup(int)') as (fd: number) => number;
  const dup2 = libc.func('int dup2(int, int)') as (from: number, to: number) => number;
  const STDERR = 2;
  const kept = dup(STDERR);
  if (kept < 0) return load(); // There is no standard error to keep quiet.
  const nowhere = openSync('/dev/null', 'w');
  dup2(nowhere, STDERR);
  try {
    return load();
  } finally {
    dup2(kept, STDERR);
    closeSync(kept);
    closeSync(nowhere);
  }
}
