import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { EXIT } from '../errors.ts';
import type { LifeLine, LifeTask } from './live.ts';

/*
 * Between the certifier and a life, both ways JSON:
 *
 *   stdin := task "\n"           one LifeTask; stays open as long as the certifier lives
 *   fd 3  := (line "\n")*        LifeLine, each written whole before what it tells of goes on
 */
export const LINES_FD = 3;

/** The child's side. Ends at once when the certifier is gone: nobody would clean up behind it. */
export async function runChild(
  live: (task: LifeTask, say: (line: LifeLine) => void) => Promise<number>,
): Promise<void> {
  // Ctrl-C in a terminal goes to every process there; what becomes of this one is the certifier's to say.
  process.on('SIGINT', () => undefined);
  const input = createInterface({ input: process.stdin });
  let done = false;
  const task = await new Promise<LifeTask>((resolve) => {
    input.once('line', (line) => resolve(JSON.parse(line) as LifeTask));
    input.once('close', () => {
      if (!done) process.exit(EXIT.failed);
    });
  });
  process.exitCode = await live(task, (line) => void writeSync(LINES_FD, `${JSON.stringify(line)}\n`));
  done = true;
  input.close();
  process.stdin.destroy();
}
