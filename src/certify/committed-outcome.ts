import { commitsBackwards, openLineage } from '../checkpoint/commit-history.ts';
import { readJournal } from '../checkpoint/read-journal.ts';
import { restore } from '../checkpoint/restore.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import type { StateBlobs } from '../checkpoint/state-blobs.ts';
import type { BlobStore } from '../checkpoint/store.ts';
import type { Commit, DeadLetter, Negatives, RecordKind, Records, StepJournal } from '../codec/records.ts';
import { decode } from '../codec/single-object.ts';
import type { Log } from '../log/log.ts';
import type { QueueHistory } from '../memory-bank/changelog.ts';

/** All that a run has committed, read as anyone may read it and checked as it is read. */
export interface CommittedOutcome {
  /** Every record of the commits topic, oldest first: gapless generations. */
  readonly commits: readonly Commit[];
  /** Generations of the newest commit and of those that it builds on, oldest first. */
  readonly lineage: readonly number[];
  /** The steps of the lineage, each digest checked against its content and the step before. */
  readonly steps: readonly StepJournal[];
  /** Every record of the journal topic, in the log's order: what a fenced writer left there would be among them. */
  readonly journaled: readonly StepJournal[];
  /** Every record of the negatives topic. */
  readonly negatives: readonly Negatives[];
  readonly deadLetters: readonly DeadLetter[];
  /** The newest commit's tensors, each blob's SHA-256 checked. */
  readonly state: StateBlobs;
  /** The newest commit's queue, rebuilt from its topic and checked by its digest. */
  readonly queue: QueueHistory | null;
}

/**
 * Reads the whole of a run; nobody is fenced. Null for a run without a commit.
 * @throws RepulsorError STATE_MISSING, STATE_DAMAGED, STATE_TRUNCATED naming the first thing that is wrong
 */
export async function readOutcome(from: {
  readonly log: Log;
  readonly store: BlobStore;
  readonly run: string;
}): Promise<CommittedOutcome | null> {
  const { log } = from;
  const topics = runTopics(from.run);
  const commits: Commit[] = [];
  for await (const { commit } of commitsBackwards(log, topics.commits)) commits.unshift(commit);
  if (commits.length === 0) return null;
  const lineage = openLineage(log, topics.commits);
  const generations: number[] = [];
  for (let index = 0; ; index++) {
    const entry = await lineage.at(index);
    if (entry === null) break;
    generations.unshift(entry.commit.generation);
  }
  const steps: StepJournal[] = [];
  for await (const step of readJournal(log, topics.journal, lineage)) steps.push(step);
  const newest = (await restore({ ...from, lineage }, 0))!;
  return {
    commits,
    lineage: generations,
    steps,
    journaled: await recordsOf(log, topics.journal, 'step-journal'),
    negatives: await recordsOf(log, topics.negatives, 'negatives'),
    deadLetters: await recordsOf(log, topics.deadLetters, 'dead-letter'),
    state: newest.state,
    queue: newest.queue,
  };
}

async function recordsOf<K extends RecordKind>(log: Log, topic: string, kind: K): Promise<Records[K][]> {
  const { earliest, end } = await log.offsets(topic, 0);
  const found: Records[K][] = [];
  const range = { from: new Map([[0, earliest]]), to: new Map([[0, end]]) };
  for await (const { value } of log.read(topic, range)) if (value !== null) found.push(decode(kind, value));
  return found;
}
