import type { Engine, EngineWish } from '../engine/engine.ts';

/** What bit-exact replay is promised for: the same engine, library, device, lanes, threads and Node. */
export function engineIdentity(engine: Engine): string {
  const lanes = engine.lanes === 1 ? '' : `, ${engine.lanes} lanes`;
  return `${engine.name} ${engine.version}, ${engine.device}${lanes}, ${engine.threads} threads, Node ${process.versions.node}`;
}

/** What to ask for to have the engine that such a text names; null when a later version wrote it another way. */
export function parseEngineIdentity(
  identity: string,
): { readonly name: EngineWish; readonly threads: number; readonly lanes: number } | null {
  const match = /^(native|wasm|cpu) [^,]*, (cpu|gpu).*, (\d+) threads, Node /.exec(identity);
  if (match === null) return null;
  const [, name, device, threads] = match;
  const lanes = /, (\d+) lanes, /.exec(identity)?.[1] ?? 1;
  const wish = (name === 'native' ? `native-${device}` : name) as EngineWish;
  return { name: wish, threads: Number(threads), lanes: Number(lanes) };
}

/**
 * What to say of a run that goes on with another engine, device or number of threads than made its last commit: null where it
 * is the same. Of Node alone nothing is said: its versions give the same bits (`npm run test:node`).
 */
export function otherEngineInWords({ engine, step }: { engine: string; step: number }, here: string): string | null {
  const withoutNode = (identity: string): string => identity.replace(/, Node [^,]*$/, '');
  const [before, now] = [withoutNode(engine), withoutNode(here)];
  return before === now ? null : `from step ${step} on, the engine is "${now}"; it was "${before}": its bits differ`;
}
