import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 60_000;
const BETWEEN_MS = 50;

/** Asks a program that was started until it answers; false when it has ended, or not answered for a minute. */
export async function untilAnswers(ask: () => Promise<boolean>, ended: Promise<unknown>): Promise<boolean> {
  let gone = false;
  void ended.then(() => {
    gone = true;
  });
  for (const begun = performance.now(); performance.now() - begun < PATIENCE_MS && !gone; await sleep(BETWEEN_MS))
    if (await ask()) return true;
  return false;
}
