import type { Commit, StepJournal } from '../codec/records.ts';
import { decode } from '../codec/single-object.ts';
import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { readRange } from '../log/read-range.ts';
import type { CommitEntry, Lineage } from './commit-history.ts';
import { isSameDigest, ZERO_DIGEST } from './digest.ts';
import { journalBreak } from './journal.ts';

/**
 * The committed steps `first` to `last` (both included) in order, as the lineage's commit `index` knows them: steps that a
 * fallback gave up are not among them. Each commit's entries are checked against the digest that it recorded.
 * @throws RepulsorError STATE_TRUNCATED, STATE_DAMAGED
 */
export async function* readJournal(
  log: Log,
  topic: string,
  lineage: Lineage,
  { index = 0, first = 1, last = Number.MAX_SAFE_INTEGER }: { index?: number; first?: number; last?: number } = {},
): AsyncGenerator<StepJournal> {
  // From the newest commit that is wanted down to the one that holds the first step; read the other way round.
  const commits: CommitEntry[] = [];
  let before: CommitEntry | null = null;
  for (let i = index; ; i++) {
    before = await lineage.at(i);
    if (before === null || before.commit.step < first) break;
    commits.push(before);
  }
  const from = { step: before?.commit.step ?? 0, digest: before?.commit.journalDigest ?? ZERO_DIGEST };
  const wanted = commits.reverse().map(({ commit }) => commit);
  const past = wanted.findIndex((commit) => commit.step >= last);
  const ranges = past < 0 ? wanted : wanted.slice(0, past + 1);
  for await (const { entry } of readRanges(log, topic, ranges, from))
    if (entry !== null && entry.step >= first && entry.step <= last) yield entry;
}

/** What a commit record says of its part of the journal. */
export type JournalRange = Pick<Commit, 'step' | 'journalBegin' | 'journalEnd' | 'journalDigest'>;

/**
 * The entries of commits that follow each other in the lineage, in order, in one read of the topic; after each commit's
 * last one a null, which says that the commit checked. `from`: the step before the first, and its digest.
 * @throws RepulsorError STATE_TRUNCATED, STATE_DAMAGED
 */
export async function* readRanges<R extends JournalRange>(
  log: Log,
  topic: string,
  commits: readonly R[],
  from: { readonly step: number; readonly digest: Uint8Array },
): AsyncGenerator<{ readonly commit: R; readonly entry: StepJournal | null }> {
  let { step, digest } = from;
  let at = 0;
  const check = (commit: R) => {
    if (step !== commit.step || !isSameDigest(digest, commit.journalDigest))
      throw damaged(topic, commit.journalEnd, `the commit of step ${commit.step} does not end with step ${step}`);
    return { commit, entry: null };
  };
  const filled = commits.filter(({ journalBegin, journalEnd }) => journalEnd > journalBegin);
  if (filled.length > 0) {
    const [begin, end] = [filled[0]!.journalBegin, filled.at(-1)!.journalEnd];
    for await (const { offset, value } of readRange(log, topic, 0, begin, end)) {
      while (at < commits.length && commits[at]!.journalEnd <= offset) yield check(commits[at++]!);
      const commit = commits[at];
      // In between lie the entries of commits that a fallback gave up.
      if (commit === undefined || offset < commit.journalBegin) continue;
      const entry = decodeEntry(topic, offset, value);
      const broken = journalBreak(step, digest, [entry]);
      if (broken !== null) throw damaged(topic, offset, broken);
      ({ step, digest } = entry);
      yield { commit, entry };
    }
  }
  while (at < commits.length) yield check(commits[at++]!);
}

function decodeEntry(topic: string, offset: number, value: Uint8Array | null): StepJournal {
  if (value === null) throw damaged(topic, offset, 'it is a tombstone');
  try {
    return decode('step-journal', value);
  } catch (cause) {
    if (!(cause instanceof RepulsorError)) throw cause;
    throw damaged(topic, offset, cause.message, cause);
  }
}

function damaged(topic: string, offset: number, what: string, cause?: unknown): RepulsorError {
  return new RepulsorError('STATE_DAMAGED', `the journal ${topic} is damaged at offset ${offset}: ${what}`, {
    hint: 'Nothing but a trainer may write this topic. Restore it from a backup.',
    cause,
  });
}
