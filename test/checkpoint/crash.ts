import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('crash-child.ts', import.meta.url));

export interface ChildLife {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly stderr: string;
  readonly recovered: number | null;
  /** Steps of the commits that it was told of. */
  readonly committed: number[];
  /** "before write", "after write", ... as far as it came. */
  readonly moments: string[];
}

/**
 * Runs crash-child.ts to its end. `killAfterMs` kills it from outside, at whatever it is doing then; `fileLimit` is the
 * size, in units of 512 bytes, past which the system lets it write no file.
 */
export async function liveOnce(
  url: string,
  folder: string,
  options: { commits: number; moment: number; killAfterMs?: number; fileLimit?: number },
): Promise<ChildLife> {
  const { commits, moment, killAfterMs, fileLimit } = options;
  const command = [process.execPath, '--import', 'tsx', CHILD, url, folder, `${commits}`, `${moment}`];
  const limit = fileLimit === undefined ? '' : `ulimit -f ${fileLimit}; `;
  const child = spawn('sh', ['-c', `${limit}exec "$@"`, 'sh', ...command]);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    // The wait is counted from the child's first sign of life: its start takes far longer than its commits.
    if (stdout === '' && killAfterMs !== undefined) setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (...end) => resolve(end));
  });
  const lines = stdout
    .split('\n')
    .slice(0, -1) // the last line may be torn, and is empty otherwise
    .map((line) => JSON.parse(line) as { recovered?: number; committed?: number; when?: string; effect?: string });
  return {
    signal,
    code,
    stderr,
    recovered: lines.find((line) => line.recovered !== undefined)?.recovered ?? null,
    committed: lines.flatMap((line) => line.committed ?? []),
    moments: lines.flatMap((line) => (line.when === undefined ? [] : `${line.when} ${line.effect}`)),
  };
}
