import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { type CommitEntry, commitsBackwards, openLineage } from './commit-history.ts';
import { readJournal } from './read-journal.ts';
import { restore } from './restore.ts';
import { runTopics } from './run-id.ts';
import type { BlobStore } from './store.ts';

export interface Verification {
  /** Records in the commits topic, and how many of them the newest one builds on, itself included. */
  readonly commits: number;
  readonly lineage: number;
  /** Journaled steps, each with the digest that its content gives. */
  readonly steps: number;
  /** Newest commits whose blobs were read and whose queue was rebuilt, all as committed. */
  readonly states: number;
}

/**
 * Reads all of a run that is there and checks every digest: the chain of commits to its beginning, the journal to its
 * beginning, and the states of the newest `states` commits. Nobody is fenced.
 * @throws RepulsorError STATE_MISSING, STATE_DAMAGED, STATE_TRUNCATED naming the first thing that is wrong
 */
export async function verifyRun(
  from: { readonly log: Log; readonly store: BlobStore; readonly run: string },
  states = 1,
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
  const restored = Math.min(states, length);
  for (let index = 0; index < restored; index++) await restore({ ...from, lineage }, index);
  return { commits, lineage: length, steps, states: restored };
}

function checkRun({ commit, offset }: CommitEntry, run: string, topic: string): void {
  if (commit.run === run) return;
  throw new RepulsorError('STATE_DAMAGED', `the commit at ${topic}, offset ${offset}, is of the run ${commit.run}`, {
    hint: 'Nothing but a trainer of its run may write this topic. Restore it from a copy.',
  });
}
