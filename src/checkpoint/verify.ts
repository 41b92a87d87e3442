import { RepulsorError } from '../errors.ts';
import { type CommitEntry, commitsBackwards, openLineage } from './commit-history.ts';
import { keptCommits } from './kept-commits.ts';
import { readJournal } from './read-journal.ts';
import { restore } from './restore.ts';
import { runTopics } from './run-id.ts';
import type { StoredRun } from './stored-run.ts';

export interface Verification {
  /** Records in the commits topic, and how many of them the newest one builds on, itself included. */
  readonly commits: number;
  readonly lineage: number;
  /** Journaled steps, each with the digest that its content gives. */
  readonly steps: number;
  /** Steps of the commits whose blobs were read and whose queue was rebuilt, all as committed; newest first. */
  readonly states: readonly number[];
}

/**
 * Reads all of a run that is there and checks every digest: the chain of commits to its beginning, the journal to its
 * beginning, and the states of the newest commit and of all others that are kept. Nobody is fenced.
 * @throws RepulsorError STATE_MISSING, STATE_DAMAGED, STATE_TRUNCATED naming the first thing that is wrong
 */
export async function verifyRun(
  from: StoredRun,
  /** Told of each state before it is read. */
  onState: (step: number) => void = () => undefined,
): Promise<Verification> {
  const topics = runTopics(from.run);
  let commits = 0;
  for await (const entry of commitsBackwards(from.log, topics.commits)) {
    checkRun(entry, from.run, topics.commits);
    commits++;
  }
  const lineage = openLineage(from.log, topics.commits);
  let length = 0;
  while ((await lineage.at(length)) !== null) length++;
  let steps = 0;
  for await (const _ of readJournal(from.log, topics.journal, lineage)) steps++;
  const kept = new Set((await keptCommits(from.log, topics.commits, from.store)).map(({ generation }) => generation));
  const states: number[] = [];
  for (let index = 0; index < length; index++) {
    const { step, generation } = (await lineage.at(index))!.commit;
    // The run goes on from the newest: where that one is not whole, to restore it says what is missing.
    if (index > 0 && !kept.has(generation)) continue;
    onState(step);
    await restore({ ...from, lineage }, index);
    states.push(step);
  }
  return { commits, lineage: length, steps, states };
}

function checkRun({ commit, offset }: CommitEntry, run: string, topic: string): void {
  if (commit.run === run) return;
  throw new RepulsorError('STATE_DAMAGED', `the commit at ${topic}, offset ${offset}, is of the run ${commit.run}`, {
    hint: 'Nothing but a trainer of its run may write this topic. Restore it from a copy.',
  });
}
