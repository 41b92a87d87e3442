import { expect, test } from 'vitest';
import type { Side } from '../../bench/train-step/sides.ts';
import { type Start, type Started, startSides } from '../../bench/train-step/start-sides.ts';
import { TurnProcess } from '../../bench/turn-process.ts';

/** A process that runs `script`, as a side. */
const running = async (script: string, signal?: AbortSignal): Promise<Side> => {
  const started = await TurnProcess.start<{ compile_seconds: number }, { peak_bytes: number }>(
    'some',
    process.execPath,
    ['-e', script],
    process.env,
    signal,
  );
  return { ...started.ready, kill: () => started.kill() } as Side;
};
const READY = `console.log('{"compile_seconds": 7}'); process.stdin.resume()`;
const NEVER = 'setInterval(() => undefined, 1000)';
const FAILS = 'process.exit(1)';
const start = (script: string): Start['start'] => {
  return (signal) => running(script, signal);
};

async function all(starts: Record<string, Start>): Promise<Started & { said: string[] }> {
  const said: string[] = [];
  const started: Started = { sides: new Map(), missing: {} };
  try {
    await startSides(starts, (line) => said.push(line), started);
  } finally {
    for (const side of started.sides.values()) side.kill();
  }
  return { ...started, said };
}

test('a side that compiles too long, or fails, is left out by name; the others start, and say what compiling took', async () => {
  const { sides, missing, said } = await all({
    eager: { start: start(READY) },
    slow: { start: start(NEVER), optional: { limitSeconds: 1 } },
    broken: { start: start(FAILS), optional: { limitSeconds: 60 } },
    compiled: { start: start(READY), optional: { limitSeconds: 60 } },
  });
  expect([...sides.keys()]).toEqual(['eager', 'compiled']);
  expect(missing).toEqual({
    slow: 'not ready after 1 s',
    broken: 'failed: some: its process ended before it answered',
  });
  expect(said).toContain('slow: LEFT OUT, not ready after 1 s');
  expect(said).toContain('compiled: ready; its first step took 7 s longer than the next, compiling included');
});

test('where a side that must be there fails, nothing goes on', async () => {
  await expect(all({ ours: { start: start(FAILS) }, theirs: { start: start(READY) } })).rejects.toThrow(
    'some: its process ended',
  );
});
