import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { EXIT, RepulsorError } from '../../src/errors.ts';
import type { Said } from './child.ts';
import type { Task } from './plan.ts';

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));

/** Trains and measures one run in a process of its own. False: it was interrupted. @throws RepulsorError with what it said */
export async function runTask(
  task: Task,
  missing: readonly number[],
  { signal, onSaid }: { readonly signal: AbortSignal; readonly onSaid: (said: Said) => void },
): Promise<boolean> {
  // A group of its own: Ctrl-C in a terminal would reach it there besides what is sent here, and two end it at once.
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, JSON.stringify({ task, missing })], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const stop = () => void child.kill('SIGINT');
  signal.addEventListener('abort', stop);
  process.on('exit', stop);
  if (signal.aborted) stop();
  let why = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = JSON.parse(line) as Said;
    if ('error' in said) why = said.error.message;
    else onSaid(said);
  });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    if (code === EXIT.done) return true;
    if (code === EXIT.interrupted || (code === null && signal.aborted)) return false;
    throw new RepulsorError('ENGINE_FAILED', `${task.name}: ${why || `its process ended with ${code ?? 'a signal'}`}`, {
      hint: 'see what it said above; the same command goes on',
    });
  } finally {
    signal.removeEventListener('abort', stop);
    process.off('exit', stop);
  }
}

/** Up to `jobs` at a time, begun in their order. */
export async function atATime<T>(items: readonly T[], jobs: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(jobs, items.length) }, worker));
}
