import { spawn } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXIT } from '../errors.ts';

const BIN = fileURLToPath(new URL('../../bin/repulsor.js', import.meta.url));

/** What a sweep has done to each of its runs. In the run's folder COMMAND.jsonl has the last line of each time, COMMAND.log the warnings. */
export type SweepCommand = 'train' | 'evaluate';

/**
 * Runs `repulsor COMMAND ... --json` in a process of its own. `signal`: it is asked to stop, once. Its words go to files in
 * `folder`, not through pipes: what it says at its end is kept even when the sweep was killed before.
 * Returns what went wrong; null when nothing did, or when it was stopped.
 */
export async function runSweepCommand(
  command: SweepCommand,
  args: readonly string[],
  folder: string,
  signal: AbortSignal,
): Promise<string | null> {
  await mkdir(folder, { recursive: true });
  const said = await open(join(folder, `${command}.jsonl`), 'a');
  const warned = await open(join(folder, `${command}.log`), 'a');
  try {
    // A group of its own: Ctrl-C in a terminal would reach it there besides what is sent here, and two end it at once.
    const child = spawn(process.execPath, [BIN, command, ...args, '--json'], {
      stdio: ['ignore', said.fd, warned.fd],
      detached: true,
    });
    const stop = () => void child.kill('SIGINT');
    signal.addEventListener('abort', stop);
    process.on('exit', stop);
    if (signal.aborted) stop();
    try {
      const code = await new Promise<number | null>((resolve, reject) => {
        child.on('error', reject);
        child.on('close', resolve);
      });
      if (code === EXIT.done || (signal.aborted && (code === null || code === EXIT.interrupted))) return null;
      const { error } = ((await lastSaid(folder, command)) ?? {}) as { error?: { message?: string } };
      const how = code === null ? 'a signal' : `exit status ${code}`;
      return error?.message ?? `it ended with ${how}; see ${join(folder, `${command}.log`)}`;
    } finally {
      signal.removeEventListener('abort', stop);
      process.off('exit', stop);
    }
  } finally {
    await said.close();
    await warned.close();
  }
}

/** The last of what the command said at its ends in this folder that is `wanted`. */
export async function lastSaid(
  folder: string,
  command: SweepCommand,
  wanted: (said: Record<string, unknown>) => boolean = () => true,
): Promise<Record<string, unknown> | null> {
  const lines = (await readFile(join(folder, `${command}.jsonl`), 'utf8').catch(() => '')).trimEnd().split('\n');
  for (const line of lines.reverse()) {
    try {
      const said = JSON.parse(line) as Record<string, unknown>;
      if (wanted(said)) return said;
    } catch {
      // A killed process may leave half a line.
    }
  }
  return null;
}
