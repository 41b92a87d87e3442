import { setTimeout as sleep } from 'node:timers/promises';
import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { openLineage } from './commit-history.ts';
import { type RunTopics, runTopics } from './run-id.ts';

const LOOKS = 100;
const BETWEEN_MS = 50;

/**
 * The ends of a run's topics between two commits: all that the last commit wrote lies before them, and nothing of a later
 * one. A trainer may be at work; the markers of its transaction reach the topics one after the other, so two looks must
 * agree. @throws RepulsorError LOG_FAILED when it commits too often for that
 */
export async function runCut(log: Log, run: string): Promise<Readonly<Record<keyof RunTopics, number>>> {
  const topics = runTopics(run);
  const look = async () => {
    const ends = {} as Record<keyof RunTopics, number>;
    for (const name of ['commits', 'negatives', 'journal', 'deadLetters'] as const)
      ends[name] = (await log.offsets(topics[name], 0)).end;
    return ends;
  };
  let before = await look();
  for (let looks = 0; looks < LOOKS; looks++) {
    await sleep(BETWEEN_MS);
    const now = await look();
    const same = Object.keys(now).every((name) => now[name as keyof RunTopics] === before[name as keyof RunTopics]);
    const newest = same ? await openLineage(log, topics.commits, now.commits).at(0) : null;
    const whole =
      newest === null || (newest.commit.journalEnd <= now.journal && newest.commit.negatives.end <= now.negatives);
    if (same && whole) return now;
    before = now;
  }
  throw new RepulsorError('LOG_FAILED', `the run ${run} commits so often that no moment between two commits was seen`, {
    hint: 'Stop its trainer (Ctrl-C commits and stops), copy, and start it again.',
  });
}
