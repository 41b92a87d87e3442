import { availableParallelism } from 'node:os';
import { RepulsorError } from '../../errors.ts';
import type { Engine } from '../engine.ts';
import type { Precision } from '../product.ts';
import { cpuHasFastBfloat16 } from './bfloat16-speed.ts';
import { type CApi, loadCApi } from './c-api.ts';
import { type NativeDevice, sessionConfig } from './config.ts';
import { cudaDevice } from './cuda-driver.ts';
import { Graph } from './graph.ts';
import { findLibraries, type Libraries } from './libraries.ts';
import { exactOnGpu } from './load-libraries.ts';
import { NativeProgram } from './native-program.ts';
import { Session } from './session.ts';
import { roomFor } from './state-room.ts';

/**
 * Of TensorFlow's compiler on a GPU (xla/xla.proto, DebugOptions): kernels are not chosen by timing them, which takes as long as
 * the rest of compiling and could choose others in the next process; nor are products written anew in Triton, which
 * brought the digits' step a tenth at most. Read from the environment, once, before it compiles. What a user set there comes after.
 */
const COMPILER_OPTIONS = [
  '--xla_gpu_autotune_level=0',
  '--xla_gpu_enable_triton_gemm=false',
  '--xla_gpu_enable_llvm_module_compilation_parallelism=true',
];

/** What a process has loaded, which stays for its life. */
interface Loaded {
  readonly api: CApi;
  /** Of the thread pools, which have the sizes that the first session asked for. */
  readonly threads: number;
  readonly lanes: number;
  /** "TensorFlow 2.21.0": the build for CUDA has other kernels, also on the CPU. */
  readonly version: string;
  /** The GPU in words, null for the build that has none. */
  readonly gpu: string | null;
}
let loaded: Loaded | undefined;

/**
 * TensorFlow's own library, no compiler and no addon: a program is traced once into a graph and then runs as one
 * asynchronous call. In a process that has the build for CUDA, `cpu` is the CPU under that build. `bfloat16` is the device's own,
 * unless it is said; on a GPU programs are compiled as a whole, and on a CPU their
 * functions (`fused`), unless it is said; where threads or lanes are not said, they are those that the process runs with already.
 * @throws RepulsorError ENGINE_UNAVAILABLE when the libraries or the device are not there, do not load, or run with other threads.
 */
export async function openNativeEngine(
  device: NativeDevice = 'cpu',
  threads = loaded?.threads ?? availableParallelism(),
  wantedLanes = loaded?.lanes ?? 1,
  bfloat16: 'fast' | 'slow' = device === 'gpu' || cpuHasFastBfloat16() ? 'fast' : 'slow',
  compiles: 'functions' | 'programs' = device === 'gpu' ? 'programs' : 'functions',
): Promise<Engine> {
  const lanes = device === 'gpu' ? 1 : Math.min(wantedLanes, threads);
  loaded ??= { ...(device === 'gpu' ? await loadForGpu() : await loadForCpu()), threads, lanes };
  if (loaded.threads !== threads || loaded.lanes !== lanes) {
    const inWords = (of: { threads: number; lanes: number }) => `${of.threads} threads${inLanes(of.lanes)}`;
    throw new RepulsorError(
      'ENGINE_UNAVAILABLE',
      `the native engine runs with ${inWords(loaded)} in this process, not ${inWords({ threads, lanes })}`,
      {
        hint: 'TensorFlow has one thread pool a process: start another process for another number of threads',
      },
    );
  }
  const { api, version, gpu } = loaded;
  if (device === 'gpu' && gpu === null) {
    throw new RepulsorError('ENGINE_UNAVAILABLE', 'this process has loaded TensorFlow for the CPU, which has no GPU', {
      hint: 'start another process for the GPU',
    });
  }
  const config = (precision: Precision = 'fp32') => sessionConfig({ threads, lanes }, device, precision);
  const bf16 = bfloat16 === 'fast' ? 'narrow' : 'rounded';
  if (device === 'gpu') demandGpu(api, config(), gpu!);
  return {
    name: 'native',
    device: device === 'gpu' ? gpu! : 'cpu',
    threads,
    lanes,
    version,
    bfloat16,
    compile: (definition) => NativeProgram.compile(api, { config, isWhole: compiles === 'programs', bf16 }, definition),
    room: (spec) => roomFor(api, spec),
    // Each program owns what it uses, and libraries cannot be unloaded.
    dispose: () => {},
  };
}

const inLanes = (lanes: number): string => (lanes === 1 ? '' : ` in ${lanes} lanes`);

type Library = Omit<Loaded, 'threads' | 'lanes'>;

async function loadForCpu(): Promise<Library> {
  const api = load(await findLibraries('cpu'));
  return { api, version: `TensorFlow ${api.version()}`, gpu: null };
}

/** The driver first: without a device nobody should fetch gigabytes of libraries. */
async function loadForGpu(): Promise<Library> {
  const { name, capability, driver } = cudaDevice();
  const libraries = await findLibraries('gpu');
  process.env['XLA_FLAGS'] = [...COMPILER_OPTIONS, process.env['XLA_FLAGS'] ?? ''].join(' ').trim();
  const api = load(libraries);
  exactOnGpu(libraries.framework);
  const { 'nvidia-cublas-cu12': cublas, 'nvidia-cudnn-cu12': cudnn } = libraries.versions;
  const gpu = `gpu (${name}, compute ${capability}, driver for CUDA ${driver}, cuBLAS ${cublas}, cuDNN ${cudnn})`;
  return { api, version: `TensorFlow ${api.version()} for CUDA 12`, gpu };
}

function load(libraries: Libraries): CApi {
  try {
    return loadCApi(libraries);
  } catch (error) {
    throw new RepulsorError('ENGINE_UNAVAILABLE', `TensorFlow's libraries do not load: ${(error as Error).message}`, {
      hint: 'they need Linux x86-64 with glibc 2.27 or newer; run: node setup.js --engine native',
      cause: error,
    });
  }
}

/** TensorFlow runs on the CPU without a word where it cannot use a GPU. */
function demandGpu(api: CApi, config: Uint8Array, gpu: string): void {
  using graph = new Graph(api);
  using session = new Session(graph, config);
  if (session.deviceTypes().includes('GPU')) return;
  throw new RepulsorError('ENGINE_UNAVAILABLE', `TensorFlow does not use the GPU that the driver has: ${gpu}`, {
    hint: 'it is built for compute capability 6.0 and newer; choose --engine native-cpu',
  });
}
