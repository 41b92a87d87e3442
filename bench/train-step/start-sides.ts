import { setTimeout as wait } from 'node:timers/promises';
import type { Side } from './sides.ts';

export interface Start {
  /** Resolves once the side is warm; ends its process when the signal says so. */
  readonly start: (signal?: AbortSignal) => Promise<Side>;
  /** For a side that is left out, by name, when it is not warm in time or fails; the others must start. */
  readonly optional?: { readonly limitSeconds: number };
}

/** Filled while sides start: who has it ends them, also where a later one fails. */
export interface Started {
  readonly sides: Map<string, Side>;
  /** Those that were left out, and why. */
  readonly missing: Record<string, string>;
}

/** So often somebody who waits is told that it goes on. */
const TELL_SECONDS = 15;

/**
 * Starts one side after another: each warms up with the machine for itself.
 * @throws what the start of a side throws that is not optional
 */
export async function startSides(
  starts: Readonly<Record<string, Start>>,
  say: (line: string) => void,
  { sides, missing }: Started,
): Promise<void> {
  for (const [name, { start, optional }] of Object.entries(starts)) {
    say(`${name}: starting ...`);
    const limit = optional?.limitSeconds;
    const late = limit === undefined ? undefined : AbortSignal.timeout(limit * 1000);
    const done = new AbortController();
    const end = limit === undefined ? '' : `; it is left out after ${limit} s`;
    void tellWhile(done.signal, (seconds) => say(`${name}: still starting, ${seconds} s so far${end}`));
    try {
      const side = await start(late);
      sides.set(name, side);
      say(
        `${name}: ready; its first step took ${side.compile_seconds.toFixed(0)} s longer than the next, compiling included`,
      );
    } catch (error) {
      if (optional === undefined) throw error;
      missing[name] = late!.aborted ? `not ready after ${limit} s` : `failed: ${(error as Error).message}`;
      say(`${name}: LEFT OUT, ${missing[name]}`);
    } finally {
      done.abort();
    }
  }
}

async function tellWhile(done: AbortSignal, tell: (seconds: number) => void): Promise<void> {
  for (let seconds = TELL_SECONDS; ; seconds += TELL_SECONDS) {
    await wait(TELL_SECONDS * 1000, undefined, { signal: done, ref: false }).catch(() => undefined);
    if (done.aborted) return;
    tell(seconds);
  }
}
