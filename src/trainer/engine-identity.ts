import type { Engine } from '../engine/engine.ts';

/** What bit-exact replay is promised for: the same engine, library, device, threads and Node. */
export function engineIdentity(engine: Engine): string {
  return `${engine.name} ${engine.version}, ${engine.device}, ${engine.threads} threads, Node ${process.versions.node}`;
}
