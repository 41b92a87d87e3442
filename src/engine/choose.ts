import { RepulsorError } from '../errors.ts';
import type { Engine, EngineWish } from './engine.ts';
import { hasGpu } from './native/libraries.ts';

export interface EngineChoice {
  readonly name?: EngineWish;
  /** As many as there are cores by default. Only the native engine has more than one. */
  readonly threads?: number;
  /**
   * For programs that compute a batch in parts beside each other (`Engine.lanes`): at most so many; 1 by default. Only the native
   * engine has more, on a CPU with as many threads.
   */
  readonly lanes?: number;
}

export interface OpenedEngine {
  readonly engine: Engine;
  /** One line for the user: which engine, and why not a better one. */
  readonly message: string;
  /** A better engine was looked for and could not be had: whoever shows the message shows it as a warning. */
  readonly fellBack: boolean;
}

type Candidate = Exclude<EngineWish, 'auto' | 'native'>;

/** Best first. `cpu` is never chosen by itself: it is the slow reference. */
const BY_QUALITY: Partial<Record<EngineWish, readonly Candidate[]>> = {
  auto: ['native-gpu', 'native-cpu', 'wasm'],
  native: ['native-gpu', 'native-cpu'],
};

const native = () => import('./native/native-engine.ts');
const eager = () => import('./eager/eager-engine.ts');

/** Loaded when one is asked for: it takes a second, which who only looks at numbers need not wait. */
const OPEN: Record<Candidate, (threads?: number, lanes?: number) => Promise<Engine>> = {
  'native-gpu': async (threads) => (await native()).openNativeEngine('gpu', threads),
  'native-cpu': async (threads, lanes) => (await native()).openNativeEngine('cpu', threads, lanes),
  wasm: async () => (await eager()).openWasmEngine(),
  cpu: async () => (await eager()).openCpuEngine(),
};

/** @throws RepulsorError ENGINE_UNAVAILABLE when the named engine, or of several every one, cannot be had here. */
export async function openEngine({ name = 'auto', threads, lanes }: EngineChoice = {}): Promise<OpenedEngine> {
  if (threads !== undefined && !(Number.isSafeInteger(threads) && threads >= 1)) {
    throw new RepulsorError('CONFIG', `an engine has 1 or more threads, not ${threads}`, {
      hint: 'set a whole number, or none',
    });
  }
  const missed: { readonly words: string; readonly error: RepulsorError }[] = [];
  const candidates = BY_QUALITY[name] ?? [name as Candidate];
  for (const candidate of candidates) {
    try {
      // That there is no GPU is nothing to tell of, unless one was asked for.
      if (candidate === 'native-gpu' && candidate !== name && !(await hasGpu())) continue;
      const engine = await OPEN[candidate](threads, lanes);
      return { engine, message: describe(engine, missed), fellBack: missed.length > 0 };
    } catch (error) {
      if (!(error instanceof RepulsorError) || candidates.length === 1) throw error;
      missed.push({ words: `${candidate}: ${error.message} (${error.hint})`, error });
    }
  }
  if (missed.length === 1) throw missed[0]!.error;
  const why = missed.map(({ words }) => words).join('; ');
  throw new RepulsorError('ENGINE_UNAVAILABLE', `no engine works here. ${why}`, { hint: 'run: node setup.js' });
}

function describe(engine: Engine, missed: readonly { readonly words: string }[]): string {
  const threads = `${engine.threads} thread${engine.threads === 1 ? '' : 's'}`;
  const got = `engine: ${engine.name} (${engine.version}, ${engine.device}, ${threads})`;
  return missed.length === 0 ? got : `${got}, slower than could be: ${missed.map(({ words }) => words).join('; ')}`;
}
