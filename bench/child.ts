import { spawn } from 'node:child_process';
import { RepulsorError } from '../src/errors.ts';

/**
 * Runs a TypeScript file as a process of its own, with a task as JSON in its only argument, and gives the JSON of its last
 * line: peaks of memory and warmed-up code are a process's own. What it says on stderr is shown.
 * @throws RepulsorError USAGE when it fails
 */
export async function runChild<T>(file: URL, task: object): Promise<T> {
  const child = spawn(process.execPath, ['--expose-gc', '--import', 'tsx', file.pathname, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  const status = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject).once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  process.removeListener('exit', kill);
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (status === 0 && line !== '') return JSON.parse(line) as T;
  throw new RepulsorError('USAGE', `${file.pathname} ended with ${status}`, {
    hint: 'Its own words are above. A benchmark of 1 GB of state takes about 8 GB of memory and of disk.',
  });
}

/** In the child: its task. */
export function task<T>(): T {
  return JSON.parse(process.argv[2]!) as T;
}
