import type { ChildProcess } from 'node:child_process';
import { rm } from 'node:fs/promises';

export interface ChildServer {
  /** Resolves when the process is gone, however that came, or could not be started. */
  readonly ended: Promise<void>;
  /** SIGTERM: lets it close its files; after 15 s SIGKILL. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

const STOP_MS = 15_000;

/** A server that is a child of this process: it ends with it, and `stop` and `kill` remove the folder that is given as temporary. */
export function childServer(child: ChildProcess, temporary?: string): ChildServer {
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  const killChild = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', killChild);
  const finish = async (): Promise<void> => {
    await ended;
    process.removeListener('exit', killChild);
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  };
  return {
    ended,
    async stop() {
      child.kill('SIGTERM');
      const late = setTimeout(killChild, STOP_MS);
      await finish();
      clearTimeout(late);
    },
    kill() {
      killChild();
      return finish();
    },
  };
}
