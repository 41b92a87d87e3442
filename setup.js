#!/usr/bin/env node
/**
 * Brings the native engine: TensorFlow's shared libraries, out of its PyPI wheels, into a cache outside of the clone; where
 * there is an NVIDIA GPU, also those for CUDA 12. Plain JavaScript without dependencies. Safe to run again (quick and
 * offline when the cache is whole) and to run twice at once. Without it, or where it cannot work, everything runs on
 * WebAssembly, more slowly.
 *
 *     node setup.js [--engine native|native-cpu|native-gpu|wasm] [--quiet]
 *
 * native-gpu brings what a GPU needs whether there is one or not (for images); native-cpu brings nothing for one.
 * Prints one line: the engine, and why not a better one. Exit status 0; 1 if a native engine asked for cannot be had; 2
 * for wrong arguments. With --quiet it prints that line only when the engine is not the best.
 *
 * The cache: $REPULSOR_CACHE, or $XDG_CACHE_HOME/repulsor, or ~/.cache/repulsor. In it one folder a release, which
 * appears whole by a rename. Its marker `complete.json` holds each file's size and time of change, so that a start
 * need not read 850 MB; a file that does not match is read and compared by SHA-256, and brought again if it differs.
 */
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { findGpu } from './setup/find-gpu.js';
import { bring } from './setup/install.js';
import { librariesOf } from './setup/libraries.js';
import { CPU_RELEASE, CUDA_RELEASE } from './setup/releases.js';

export { bring, CPU_RELEASE, CUDA_RELEASE, findGpu, librariesOf };

const ENGINES = ['native', 'native-cpu', 'native-gpu', 'wasm'];

/** The CUDA release where it is wanted. Resolves to the words for the line of the engine, and whether it is there. */
async function bringGpu(engine, say) {
  if (engine === 'native-cpu') return { there: false, words: 'A GPU is not used, as asked for.' };
  const { gpu, reason } = await findGpu();
  if (engine !== 'native-gpu') {
    if (reason) return { there: false, better: true, words: `The GPU is not used, because ${reason}.` };
    if (!gpu) return { there: false, words: 'There is no NVIDIA GPU here.' };
  }
  const missing = await bring(CUDA_RELEASE, say);
  if (missing) return { there: false, better: true, missing, words: `The GPU is not used, because ${missing}.` };
  if (gpu) return { there: true, words: `GPU: ${gpu}.` };
  return { there: true, words: reason ?? 'There is no NVIDIA GPU here.' };
}

async function main() {
  let options;
  try {
    options = parseArgs({ options: { engine: { type: 'string' }, quiet: { type: 'boolean' } } }).values;
    if (options.engine !== undefined && !ENGINES.includes(options.engine)) {
      throw new Error(`--engine is ${ENGINES.slice(0, -1).join(', ')} or wasm, not ${options.engine}`);
    }
  } catch (error) {
    console.error(`setup: ${error.message}\nusage: node setup.js [--engine ${ENGINES.join('|')}] [--quiet]`);
    return 2;
  }
  const say = options.quiet ? () => {} : (line) => console.error(`setup: ${line}`);
  const done = (line, isBest) => {
    if (!isBest || !options.quiet) console.log(`setup: ${line}`);
    return 0;
  };
  const { engine } = options;
  if (engine === 'wasm') return done('engine wasm, as asked for (slower than native).', true);
  const refuse = (reason) => {
    console.error(`setup: the native engine cannot be had: ${reason}.`);
    return 1;
  };
  if (engine === 'native-gpu') {
    const { there, missing, words } = await bringGpu(engine, say);
    return there ? done(`engine native-gpu (${CUDA_RELEASE.title}). ${words}`, true) : refuse(missing);
  }
  // Also beside a GPU: what goes on where the GPU cannot be used, and what has the bits of a run on a CPU.
  const missing = await bring(CPU_RELEASE, say);
  if (missing !== undefined) {
    if (engine !== undefined) return refuse(missing);
    return done(`engine wasm (slower), because ${missing}.`, false);
  }
  const { there, better, words } = await bringGpu(engine, say);
  const title = there ? `${CUDA_RELEASE.title}, and for the CPU` : `${CPU_RELEASE.title} on the CPU`;
  return done(`engine native (${title}). ${words}`, !better);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) process.exitCode = await main();
