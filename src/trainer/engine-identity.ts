import type { Engine, EngineName } from '../engine/engine.ts';

/** What bit-exact replay is promised for: the same engine, library, device, threads and Node. */
export function engineIdentity(engine: Engine): string {
  return `${engine.name} ${engine.version}, ${engine.device}, ${engine.threads} threads, Node ${process.versions.node}`;
}

/** Which engine and how many threads such a text names; null when a later version wrote it another way. */
export function parseEngineIdentity(identity: string): { readonly name: EngineName; readonly threads: number } | null {
  const match = /^(native|wasm|cpu) .*, (\d+) threads, Node /.exec(identity);
  return match === null ? null : { name: match[1] as EngineName, threads: Number(match[2]) };
}
