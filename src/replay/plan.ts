import { type CommitEntry, type Lineage, openLineage } from '../checkpoint/commit-history.ts';
import { type KeptCommit, keptCommits } from '../checkpoint/kept-commits.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import type { StoredRun } from '../checkpoint/stored-run.ts';
import { RepulsorError } from '../errors.ts';

/** Which commits a replay begins at and goes over. */
export interface ReplayPlan {
  readonly lineage: Lineage;
  /** Where it begins; null for the state before the first step, which the seed gives. `index` in the lineage. */
  readonly start: { readonly entry: CommitEntry; readonly index: number } | null;
  /** The commits after it in their order: the last one holds step `to`. */
  readonly commits: readonly CommitEntry[];
  /** Of the last of them, in the lineage. */
  readonly newest: number;
  /** The last step before the first that is made again, and the last one. */
  readonly from: number;
  readonly to: number;
}

/** How many commits an error lists. */
const LISTED = 20;

/**
 * Begins at the newest commit at or before `from` whose blobs are kept, else at the run's beginning; ends at step `to`, by
 * default the newest committed one.
 * @throws RepulsorError USAGE for steps that are not committed, STATE_MISSING when no state to begin with is kept
 */
export async function planReplay(
  { log, store, run }: StoredRun,
  asked: { readonly from?: number | undefined; readonly to?: number | undefined },
): Promise<ReplayPlan> {
  const topic = runTopics(run).commits;
  const lineage = openLineage(log, topic);
  const all: CommitEntry[] = [];
  for (let entry = await lineage.at(0); entry !== null; entry = await lineage.at(all.length)) all.push(entry);
  const last = all[0]?.commit.step ?? 0;
  const to = asked.to ?? last;
  if (to > last || (asked.from ?? 0) > to) throw notCommitted(asked.from, to, last);
  const start = await beginning(all, () => keptCommits(log, topic, store), asked.from);
  const from = start?.entry.commit.step ?? 0;
  const before = start?.index ?? all.length;
  // The oldest commit that holds step `to`; with all of a step asked for, those after it of the same step as well.
  let newest = before - 1;
  while (newest > 0 && (all[newest]!.commit.step < to || all[newest - 1]!.commit.step <= to)) newest--;
  return {
    lineage,
    start,
    commits: all.slice(Math.max(0, newest), before).reverse(),
    newest: Math.max(0, newest),
    from,
    to,
  };
}

async function beginning(
  all: readonly CommitEntry[],
  kept: () => Promise<readonly KeptCommit[]>,
  from: number | undefined,
): Promise<ReplayPlan['start']> {
  const first = all.length - 1;
  // A run that began from another one has the state it began with as a commit of step 0.
  const bySeed = all[first]?.commit.step !== 0;
  if (from === undefined || from === 0) return bySeed ? null : { entry: all[first]!, index: first };
  const whole = await kept();
  const newest = whole.find(({ step }) => step <= from);
  const index = all.findIndex(({ commit }) => commit.generation === newest?.generation);
  if (index >= 0) return { entry: all[index]!, index };
  throw noneKept(
    from,
    whole.map(({ step }) => step),
    bySeed,
  );
}

/** "steps 500, 1000 and 1500", newest last. */
function listSteps(newestFirst: readonly number[]): string {
  const steps = [...new Set(newestFirst)].slice(0, LISTED).reverse();
  const more = new Set(newestFirst).size > LISTED ? 'among others ' : '';
  if (steps.length === 0) return 'none';
  return `${more}step${steps.length > 1 ? 's' : ''} ${steps.join(', ')}`;
}

function notCommitted(from: number | undefined, to: number, last: number): RepulsorError {
  const asked = from === undefined ? `up to step ${to}` : `from step ${from} to step ${to}`;
  return new RepulsorError('USAGE', `cannot replay ${asked}: the run has committed steps 1 to ${last}`, {
    hint: 'give --from and --to within these, the first not after the last',
  });
}

function noneKept(from: number, kept: readonly number[], bySeed: boolean): RepulsorError {
  const message = `no weights of a commit at or before step ${from} are kept any more; kept: ${listSteps(kept)}`;
  const anew = bySeed ? 'leave --from out to begin where the run began' : 'restore the blobs from a backup';
  return new RepulsorError('STATE_MISSING', message, {
    hint: `begin at a later step, or ${anew}; commit.keep says how many commits keep their weights`,
  });
}
