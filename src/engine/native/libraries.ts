import { RepulsorError } from '../../errors.ts';
import type { NativeDevice } from './config.ts';

export interface Libraries {
  readonly framework: string;
  readonly cc: string;
  /** What is loaded before them, in this order. */
  readonly preload: readonly string[];
  /** The versions of the packages that they are of. */
  readonly versions: Readonly<Record<string, string>>;
}

/** What setup.js, plain JavaScript, gives away. */
interface Setup {
  readonly CPU_RELEASE: object;
  readonly CUDA_RELEASE: object;
  findGpu(): Promise<{ readonly gpu?: string; readonly reason?: string }>;
  librariesOf(release: object): Promise<(Libraries & { readonly missing?: undefined }) | { readonly missing: string }>;
}

/** setup.js brings the libraries and so knows where they are. It lies at the root, as seen from src/ and from dist/. */
const SETUP = new URL('../../../setup.js', import.meta.url);
const setup = async (): Promise<Setup> => (await import(SETUP.href)) as Setup;

/** @throws RepulsorError ENGINE_UNAVAILABLE when the device's libraries are not installed, or not as they were. */
export async function findLibraries(device: NativeDevice = 'cpu'): Promise<Libraries> {
  const { CPU_RELEASE, CUDA_RELEASE, librariesOf } = await setup();
  const libraries = await librariesOf(device === 'gpu' ? CUDA_RELEASE : CPU_RELEASE);
  if (libraries.missing === undefined) return libraries;
  const command = device === 'gpu' ? 'node setup.js --engine native-gpu' : 'node setup.js';
  throw new RepulsorError('ENGINE_UNAVAILABLE', libraries.missing, {
    hint: `run: ${command} (it says what it needs), or choose another engine`,
  });
}

/**
 * Whether an NVIDIA GPU is in this machine, as its driver's files say.
 * @throws RepulsorError ENGINE_UNAVAILABLE when there is one that cannot be used, saying why
 */
export async function hasGpu(): Promise<boolean> {
  const { findGpu } = await setup();
  const { gpu, reason } = await findGpu();
  if (reason === undefined) return gpu !== undefined;
  throw new RepulsorError('ENGINE_UNAVAILABLE', reason, {
    hint: 'mend the driver, or choose --engine native-cpu',
  });
}
