import { RepulsorError } from '../errors.ts';
import { openCpuEngine, openWasmEngine } from './eager/eager-engine.ts';
import type { Engine, EngineName } from './engine.ts';
import { openNativeEngine } from './native/native-engine.ts';

export interface EngineChoice {
  /** `auto` (the default) takes the best that works here. A named engine is that one or an error, never another. */
  readonly name?: 'auto' | EngineName;
  /** Threads one op may use: as many as there are cores by default. Only the native engine has more than one. */
  readonly threads?: number;
}

export interface OpenedEngine {
  readonly engine: Engine;
  /** One line for the user: which engine, and why not a better one. */
  readonly message: string;
  /** A better engine was looked for and could not be had: whoever shows the message shows it as a warning. */
  readonly fellBack: boolean;
}

/** Best first. `cpu` is never chosen by itself: it is the slow reference. */
const BY_QUALITY = ['native', 'wasm'] as const;

const OPEN: Record<EngineName, (threads?: number) => Promise<Engine>> = {
  native: openNativeEngine,
  wasm: openWasmEngine,
  cpu: openCpuEngine,
};

/** @throws RepulsorError ENGINE_UNAVAILABLE when the named engine, or with `auto` every engine, cannot be had here. */
export async function openEngine({ name = 'auto', threads }: EngineChoice = {}): Promise<OpenedEngine> {
  if (threads !== undefined && !(Number.isSafeInteger(threads) && threads >= 1)) {
    throw new RepulsorError('CONFIG', `an engine has 1 or more threads, not ${threads}`, {
      hint: 'set a whole number, or none',
    });
  }
  const missed: string[] = [];
  for (const candidate of name === 'auto' ? BY_QUALITY : [name]) {
    try {
      const engine = await OPEN[candidate](threads);
      return { engine, message: describe(engine, missed), fellBack: missed.length > 0 };
    } catch (error) {
      if (!(error instanceof RepulsorError) || name !== 'auto') throw error;
      missed.push(`${candidate}: ${error.message} (${error.hint})`);
    }
  }
  throw new RepulsorError('ENGINE_UNAVAILABLE', `no engine works here. ${missed.join('; ')}`, {
    hint: 'run: node setup.js',
  });
}

function describe(engine: Engine, missed: readonly string[]): string {
  const threads = `${engine.threads} thread${engine.threads === 1 ? '' : 's'}`;
  const got = `engine: ${engine.name} (${engine.version}, ${engine.device}, ${threads})`;
  return missed.length === 0 ? got : `${got}, slower than could be: ${missed.join('; ')}`;
}
