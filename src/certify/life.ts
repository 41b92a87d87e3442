import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import type { Readable } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { LifeLine, LifeTask } from './live.ts';

/** How a life went. */
export interface LifeEnd {
  /** The exit status; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly LifeLine[];
  /** What it wrote to stderr: nothing, when all is well. */
  readonly stderr: string;
  /** It was ended because it took too long. */
  readonly timedOut: boolean;
}

/** A trainer at work in a process of its own. */
export interface Life {
  readonly ended: Promise<LifeEnd>;
  /** Waits for a line; false when the life ends without one. */
  says(kind: LifeLine['kind']): Promise<boolean>;
  /** What it has said so far. */
  readonly lines: readonly LifeLine[];
  signal(name: NodeJS.Signals): void;
}

export interface LifeOptions {
  /** The module that the process runs. Default: trial-child beside this file. */
  readonly child?: URL;
  readonly timeoutMs: number;
  /** Aborted: the process is killed. */
  readonly signal: AbortSignal;
}

/** In a clone the modules are TypeScript, which a loader reads (bin/repulsor.js); in the package they are compiled. */
const OWN_CHILD = new URL(import.meta.url.endsWith('.ts') ? './trial-child.ts' : './trial-child.js', import.meta.url);

export function startLife(task: LifeTask, { child = OWN_CHILD, timeoutMs, signal }: LifeOptions): Life {
  const path = fileURLToPath(child);
  const loader = path.endsWith('.ts') ? ['--import', tsx()] : [];
  const process_ = spawn(process.execPath, [...loader, path], { stdio: ['pipe', 'ignore', 'pipe', 'pipe'] });
  const lines: LifeLine[] = [];
  let stderr = '';
  let rest = '';
  let over = false;
  let timedOut = false;
  let heard = () => {};
  process_.stdin!.on('error', () => undefined); // it may be dead before it has read its task
  process_.stdin!.write(`${JSON.stringify(task)}\n`);
  process_.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-10_000);
  });
  (process_.stdio[3] as Readable).setEncoding('utf8').on('data', (text: string) => {
    const whole = (rest + text).split('\n');
    rest = whole.pop()!; // a killed process may leave half a line
    lines.push(...whole.map((line) => JSON.parse(line) as LifeLine));
    heard();
  });
  const stop = () => void process_.kill('SIGKILL'); // it ends a stopped process, too
  signal.addEventListener('abort', stop);
  const timer = setTimeout(() => {
    timedOut = true;
    stop();
  }, timeoutMs);
  if (signal.aborted) stop();
  const ended = whenClosed(process_)
    .then(({ code, signal: by }): LifeEnd => ({ code, signal: by, lines, stderr, timedOut }))
    .finally(() => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      over = true;
      heard();
    });
  return {
    ended,
    lines,
    async says(kind) {
      while (!lines.some((line) => line.kind === kind)) {
        if (over) return false;
        await new Promise<void>((resolve) => {
          heard = resolve;
        });
      }
      return true;
    },
    signal: (name) => void process_.kill(name),
  };
}

function whenClosed(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
}

const tsx = (): string => pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
