import type { Commit } from '../codec/records.ts';
import { neededOffsets } from '../operators/needed-offsets.ts';
import { isSamePlace, type PartitionOffset } from '../operators/position.ts';
import type { RunTopics } from './run-id.ts';

/**
 * What a record is needed for. `resume`: the next start of the trainer is refused without it. `replay`: training again
 * from the oldest of the newest commits that keep their weights (an older one that is kept until its records go is not
 * among them: it would be in danger whenever anything is removed). `history`: replay from the first step, time travel, lineage.
 * `archive`: what is drawn from it again (operators.mix); without it the run goes on with what is left.
 */
export type Need = 'resume' | 'replay' | 'history' | 'archive';

/** Of a partition the oldest offset that is needed. */
export interface NeededRecord extends PartitionOffset {
  readonly need: Need;
}

/** What of a commit says what it needs. */
export type CommitNeeds = Pick<Commit, 'position' | 'negatives'>;

type Commits = readonly CommitNeeds[];

/** How many of the lineage's newest commits say what is needed: those kept, and those with rows that are in the queue. */
export function commitsThatTell(newestFirst: Commits, keep: number): number {
  return Math.min(newestFirst.length, Math.max(keep, queueReach(newestFirst)));
}

/** Commits, the newest among them, that brought the rows in the queue. */
function queueReach(newestFirst: Commits): number {
  const newest = newestFirst[0]?.negatives;
  if (newest === undefined || newest.capacity === 0) return 0;
  const before = newestFirst.findIndex(({ negatives }) => negatives.count <= newest.count - newest.capacity);
  return before < 0 ? newestFirst.length : before;
}

/** Everything of the log that a run with these commits needs. `oldest`: the oldest one whose weights are kept. */
export function neededRecords(newestFirst: Commits, oldest: CommitNeeds, topics: RunTopics): NeededRecord[] {
  const [newest] = newestFirst;
  if (newest === undefined) return [];
  const resume = inputsOf(newest.position).map((place): NeededRecord => ({ ...place, need: 'resume' }));
  const replay = inputsOf(oldest.position)
    .filter((place) => resume.some((later) => isSamePlace(later, place) && later.offset > place.offset))
    .map((place): NeededRecord => ({ ...place, need: 'replay' }));
  const own = (topic: string, offset: number, need: Need): NeededRecord => ({ topic, partition: 0, offset, need });
  const queue = newestFirst[queueReach(newestFirst) - 1];
  return [
    ...resume,
    ...replay,
    ...(queue === undefined ? [] : [own(topics.negatives, queue.negatives.begin, 'resume')]),
    own(topics.negatives, 0, 'history'),
    own(topics.journal, 0, 'history'),
    own(topics.commits, 0, 'history'),
    ...(newest.position.archive?.open?.ranges ?? []).map(
      ({ topic, partition, begin }): NeededRecord => ({ topic, partition, offset: begin, need: 'archive' }),
    ),
  ];
}

/** A topic read in epochs is read again from its begin. */
function inputsOf(position: Commit['position']): PartitionOffset[] {
  return neededOffsets(position).map((place) => {
    const bounds = position.bounds?.find((entry) => isSamePlace(entry, place));
    return bounds === undefined ? place : { ...place, offset: bounds.begin };
  });
}
