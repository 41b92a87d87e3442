import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { RepulsorError } from '../src/errors.ts';

/** Ended with this process, however it ends; one listener for all of them. */
const alive = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/**
 * A process that warms up, says so, and then does its share of work whenever it is asked to, so that several of them can
 * take turns on one machine, each with its own memory and warmed-up code.
 *
 *     child:  its readiness, as a line of JSON                 parent:  a request, as a line of JSON
 *             an answer to each, in order                               the end of stdin
 *             its last words, as a line of JSON; it ends
 */
export class TurnProcess<Ready, Last> {
  readonly #name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  readonly ready: Ready;

  private constructor(
    name: string,
    child: ChildProcessByStdio<Writable, Readable, null>,
    lines: AsyncIterator<string>,
    ready: Ready,
  ) {
    this.#name = name;
    this.#child = child;
    this.#lines = lines;
    this.ready = ready;
  }

  /** Resolves once it is warm; `signal` ends it before. @throws RepulsorError USAGE when it ended before */
  static async start<Ready, Last>(
    name: string,
    command: string,
    args: readonly string[],
    environment: NodeJS.ProcessEnv = process.env,
    signal?: AbortSignal,
  ): Promise<TurnProcess<Ready, Last>> {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: environment });
    // Without a listener a process that cannot be started, or that is gone already, would end this one.
    child.on('error', () => undefined).stdin.on('error', () => undefined);
    alive.add(child);
    child.once('exit', () => alive.delete(child));
    const end = (): void => void child.kill('SIGKILL');
    signal?.addEventListener('abort', end);
    try {
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      return new TurnProcess<Ready, Last>(name, child, lines, await answer<Ready>(name, lines));
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      signal?.removeEventListener('abort', end);
    }
  }

  /** One turn. @throws RepulsorError USAGE when the process ended */
  async ask<T>(request: object): Promise<T> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    return answer<T>(this.#name, this.#lines);
  }

  /** Its last words; it has ended then. */
  async end(): Promise<Last> {
    this.#child.stdin.end();
    const last = await answer<Last>(this.#name, this.#lines);
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await new Promise((resolve) => this.#child.once('exit', resolve));
    }
    return last;
  }

  /** Whatever it is doing. Does nothing once it has ended. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

async function answer<T>(name: string, lines: AsyncIterator<string>): Promise<T> {
  const { done, value } = await lines.next();
  if (!done) return JSON.parse(value) as T;
  throw new RepulsorError('USAGE', `${name}: its process ended before it answered`, {
    hint: 'Its own words are above. Several sides are in memory at once: each may take some gigabytes.',
  });
}

/** In the child, once it is warm: answers each request, and ends with its last words. */
export async function takeTurns<Request>(
  ready: object,
  turn: (request: Request) => Promise<object>,
  last: () => object,
): Promise<void> {
  const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);
  say(ready);
  for await (const line of createInterface({ input: process.stdin })) say(await turn(JSON.parse(line) as Request));
  say(last());
}
