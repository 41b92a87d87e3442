import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { ChildLine, ChildTask } from '../checkpoint/crash-child.ts';
import type { Defect } from './broken-child.ts';
import type { FileFault, FileOperationLine } from './file-operations.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FILE_OPERATIONS = join(ROOT, 'test/faults/file-operations.ts');
const BROKEN_CHILD = join(ROOT, 'test/faults/broken-child.ts');
const CRASH_CHILD = join(ROOT, 'test/checkpoint/crash-child.ts');
/** A life that lasts longer hangs: it is killed, and the trial fails. */
const LONGEST_MS = 300_000;

/** How a trainer's process ended. */
export interface LifeEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** File operations that were told, when asked to; and where the fault came. */
  readonly operations: readonly FileOperationLine[];
  readonly hung: boolean;
}

/** A trainer's process. */
export interface Life {
  readonly ended: Promise<LifeEnd>;
  /** Resolves at the first fault of the file operations (a `stop` has taken effect soon after); rejects when the process ends without. */
  readonly struck: Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** Called for each whole line of stdout, now and later. */
  onLine(hear: (line: string) => void): void;
  readonly pid: number;
}

const living = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

export interface LifeOptions {
  readonly fileFault?: FileFault;
  /** Size, in units of 512 bytes, past which the system lets it write no file. */
  readonly fileLimit?: number;
}

/** Starts `node` with the arguments, in the project's folder. */
export function startLife(args: readonly string[], { fileFault, fileLimit }: LifeOptions = {}): Life {
  const preload = fileFault === undefined ? [] : ['--import', FILE_OPERATIONS];
  const command = [process.execPath, '--import', 'tsx', ...preload, ...args];
  const limit = fileLimit === undefined ? '' : `ulimit -f ${fileLimit}; `;
  const child = spawn('sh', ['-c', `${limit}exec "$@"`, 'sh', ...command], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...(fileFault && { REPULSOR_FAULT: JSON.stringify(fileFault) }) },
  });
  living.add(child);
  const hearers: ((line: string) => void)[] = [];
  const lines: string[] = [];
  const operations: FileOperationLine[] = [];
  let stderr = '';
  let strike = (_: string) => {};
  let miss = (_: Error) => {};
  const struck = new Promise<string>((resolve, reject) => {
    strike = resolve;
    miss = reject;
  });
  struck.catch(() => undefined);
  byLine(child.stdout!, (line) => {
    lines.push(line);
    for (const hear of hearers) hear(line);
  });
  byLine(child.stdio[3] as Readable, (line) => {
    const operation = JSON.parse(line) as FileOperationLine;
    operations.push(operation);
    if (operation.fault) strike(operation.operation);
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  let hung = false;
  const limitTimer = setTimeout(() => {
    hung = true;
    child.kill('SIGKILL');
  }, LONGEST_MS);
  const ended = new Promise<LifeEnd>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(limitTimer);
      living.delete(child);
      miss(new Error(`the process ended without the fault: ${stderr.trim() || `status ${code}, signal ${signal}`}`));
      resolve({ code, signal, stdout: lines.join('\n'), stderr, operations, hung });
    });
  });
  return {
    ended,
    struck,
    pid: child.pid!,
    signal: (name) => void child.kill(name),
    onLine(hear) {
      for (const line of lines) hear(line);
      hearers.push(hear);
    },
  };
}

function byLine(stream: Readable, hear: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    const whole = (rest + text).split('\n');
    rest = whole.pop()!;
    for (const line of whole) hear(line);
  });
}

/** What the protocol's trainer (test/checkpoint/crash-child.ts) told in its life. */
export interface Told {
  readonly recovered: number | null;
  /** Steps of the commits that it was told of. */
  readonly committed: readonly number[];
  /** "before write", "after write", ... as far as it came. */
  readonly moments: readonly string[];
  readonly failed: string | null;
}

export function toldBy({ stdout }: LifeEnd): Told {
  const lines = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as ChildLine);
  return {
    recovered: lines.find((line) => line.recovered !== undefined)?.recovered ?? null,
    committed: lines.flatMap((line) => line.committed ?? []),
    moments: lines.flatMap((line) => line.moment ?? []),
    failed: lines.find((line) => line.failed !== undefined)?.failed ?? null,
  };
}

/** Starts the trainer without an engine: it recovers and commits three steps at a time. */
export function startProtocol(
  task: Partial<ChildTask> & Pick<ChildTask, 'url' | 'folder' | 'run' | 'commits'> & { readonly broken?: Defect },
  options: LifeOptions = {},
): Life {
  const child = task.broken === undefined ? CRASH_CHILD : BROKEN_CHILD;
  return startLife([child, JSON.stringify({ moment: -1, signal: 'SIGKILL', ...task })], options);
}
