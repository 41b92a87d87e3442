import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { type CommitEntry, lineageBackwards } from './commit-history.ts';

/**
 * The lineage's commit of exactly `step`; of several (a commit may bring dead letters alone) the newest. Steps that a
 * fallback gave up are not found. Null: the newest commit of all.
 * @throws RepulsorError USAGE naming the nearest committed steps, STATE_MISSING when there is no commit
 */
export async function findCommit(log: Log, topic: string, step: number | null): Promise<CommitEntry> {
  let after: number | null = null;
  let before: number | null = null;
  for await (const entry of lineageBackwards(log, topic)) {
    if (step === null || entry.commit.step === step) return entry;
    if (entry.commit.step < step) {
      before = entry.commit.step;
      break;
    }
    after = entry.commit.step;
  }
  if (after === null && before === null)
    throw new RepulsorError('STATE_MISSING', `there is no commit in ${topic}`, {
      hint: 'Train the run first: a run that was stopped before its first commit begins anew.',
    });
  const nearest = [before, after].filter((found) => found !== null);
  throw new RepulsorError('USAGE', `step ${step} is no committed step of this run`, {
    hint: `The nearest committed ${nearest.length > 1 ? `steps are ${nearest.join(' and ')}` : `step is ${nearest[0]}`}.`,
  });
}
