import { RepulsorError } from '../../errors.ts';
import { koffi } from './ffi.ts';

/** The NVIDIA driver's library: it comes with the driver, not with CUDA. */
const LIBRARY = 'libcuda.so.1';
/** As cuDriverGetVersion counts: 1000 * major + 10 * minor. */
const OLDEST_CUDA = 12_000;
/** CUdevice_attribute (cuda.h). */
const CAPABILITY_MAJOR = 75;
const CAPABILITY_MINOR = 76;
const NAME_BYTES = 128;

export interface CudaDevice {
  readonly name: string;
  /** "9.0": what the GPU's kernels are compiled for. */
  readonly capability: string;
  /** The newest CUDA that the driver runs: "12.4". */
  readonly driver: string;
}

/** The part of a library that is used. */
export interface BoundLibrary {
  func(declaration: string): (...args: unknown[]) => unknown;
}

/**
 * The first GPU that CUDA_VISIBLE_DEVICES leaves, asked of the driver itself (CUDA driver API, cuda.h). TensorFlow would only
 * find no GPU, and not say why.
 * @throws RepulsorError ENGINE_UNAVAILABLE naming what is missing: the driver, a newer one, the device
 */
export function cudaDevice(load: (path: string) => BoundLibrary = (path) => koffi.load(path)): CudaDevice {
  let library: BoundLibrary;
  try {
    library = load(LIBRARY);
  } catch (error) {
    throw unavailable(
      `${LIBRARY}, the NVIDIA driver's library, does not load: ${(error as Error).message}`,
      'install the NVIDIA driver; in a container, start it with --gpus all',
      error,
    );
  }
  const call = (name: string, declaration: string, ...args: unknown[]): void => {
    const code = library.func(`int ${name}(${declaration})`)(...args) as number;
    if (code === 0) return;
    const hint = 'see what nvidia-smi says; CUDA_VISIBLE_DEVICES may name a GPU that is not there';
    throw unavailable(`the NVIDIA driver finds no GPU to use: ${name} gives ${errorName(library, code)}`, hint);
  };
  const int = (name: string, declaration = '', ...args: unknown[]): number => {
    const value = new Int32Array(1);
    call(name, `int *${declaration}`, value, ...args);
    return value[0]!;
  };
  call('cuInit', 'unsigned int', 0);
  const version = int('cuDriverGetVersion');
  const driver = `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
  if (version < OLDEST_CUDA)
    throw unavailable(
      `the NVIDIA driver is for CUDA ${driver}, and CUDA 12 is needed`,
      'install a newer NVIDIA driver',
    );
  const device = int('cuDeviceGet', ', int', 0);
  const name = Buffer.alloc(NAME_BYTES);
  call('cuDeviceGetName', 'char *, int, int', name, NAME_BYTES, device);
  const attribute = (which: number): number => int('cuDeviceGetAttribute', ', int, int', which, device);
  return {
    name: name.toString('latin1', 0, name.indexOf(0)),
    capability: `${attribute(CAPABILITY_MAJOR)}.${attribute(CAPABILITY_MINOR)}`,
    driver,
  };
}

/** "CUDA_ERROR_NO_DEVICE (100)". */
function errorName(library: BoundLibrary, code: number): string {
  const text: (string | null)[] = [null];
  try {
    library.func('int cuGetErrorName(int, _Out_ const char **)')(code, text);
  } catch {
    // The number alone, then.
  }
  return text[0] ? `${text[0]} (${code})` : `error ${code}`;
}

function unavailable(message: string, hint: string, cause?: unknown): RepulsorError {
  return new RepulsorError('ENGINE_UNAVAILABLE', message, { hint, ...(cause !== undefined && { cause }) });
}
