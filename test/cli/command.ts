import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { builtPackage } from '../built-package.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What people start, as the package has it. */
export const COMMAND = join(await builtPackage(), 'bin', 'repulsor.js');

export interface CommandEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `repulsor` command: the process that people start, nothing of it replaced. */
export interface RunningCommand {
  readonly ended: Promise<CommandEnd>;
  kill(signal: NodeJS.Signals): void;
  /** Waits until stderr matches, and gives the match; fails with the command's words when it ends first. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  /** Waits until a metric of the running trainer is at least `least`; fails when the command ends first. */
  reaches(metric: string, least: number): Promise<void>;
}

const living = new Set<ChildProcess>();
// A test that failed leaves none behind.
afterAll(() => {
  for (const child of living) child.kill('SIGKILL');
});

export function startCommand(
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): RunningCommand {
  const child = spawn(process.execPath, [COMMAND, ...args], {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  living.add(child);
  let stdout = '';
  let stderr = '';
  let end: CommandEnd | null = null;
  let heard = () => {};
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    heard();
  });
  const ended = new Promise<CommandEnd>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      living.delete(child);
      end = { code, signal, stdout, stderr };
      heard();
      resolve(end);
    });
  });
  const said = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const match = pattern.exec(stderr);
      if (match !== null) return match;
      if (end !== null) throw new Error(`the command never said ${pattern}: ${JSON.stringify(end)}`);
      await new Promise<void>((resolve) => {
        heard = resolve;
      });
    }
  };
  return {
    ended,
    kill: (signal) => void child.kill(signal),
    said,
    async reaches(metric, least) {
      const [, url] = await said(/metrics at (http:\S+)/);
      const line = new RegExp(`^${metric}(?:\\{[^}]*\\})? (\\S+)$`, 'm');
      for (;;) {
        const page = await fetch(url!).then(
          (response) => response.text(),
          () => '',
        );
        if (Number(line.exec(page)?.[1] ?? Number.NaN) >= least) return;
        if (end !== null) throw new Error(`${metric} never reached ${least}: ${JSON.stringify(end)}`);
        await sleep(10); // each look costs the trainer a page of metrics
      }
    },
  };
}

/** Runs a command to its end. */
export function runCommand(
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<CommandEnd> {
  return startCommand(args, options).ended;
}

/** What a command with `--json` promises: the last line of stdout is one JSON object, its names written with underscores. */
export function jsonOf({ stdout, stderr }: CommandEnd): Record<string, unknown> {
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  let found: Record<string, unknown>;
  try {
    found = JSON.parse(last) as Record<string, unknown>;
  } catch {
    throw new Error(`the last line of stdout is no JSON: ${JSON.stringify(last)}; stderr: ${stderr}`);
  }
  const strange = Object.keys(found).filter((name) => !/^[a-z][a-z0-9_]*$/.test(name));
  if (strange.length > 0) throw new Error(`names of the result are not written as the others: ${strange.join(', ')}`);
  return found;
}
