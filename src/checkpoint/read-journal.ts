import type { StepJournal } from '../codec/records.ts';
import { decode } from '../codec/single-object.ts';
import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import type { SampleId } from '../operators/position.ts';
import { type CommitEntry, equal, type Lineage } from './commit-history.ts';
import { ZERO_DIGEST } from './digest.ts';
import { journalBreak, samplesOf } from './journal.ts';

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
  let step = before?.commit.step ?? 0;
  let digest = before?.commit.journalDigest ?? ZERO_DIGEST;
  for (const { commit } of commits.reverse()) {
    if (step >= last) return;
    const range = { from: new Map([[0, commit.journalBegin]]), to: new Map([[0, commit.journalEnd]]) };
    for await (const { offset, value } of log.read(topic, range)) {
      const entry = decodeEntry(topic, offset, value);
      const broken = journalBreak(step, digest, [entry]);
      if (broken !== null) throw damaged(topic, offset, broken);
      ({ step, digest } = entry);
      if (step >= first && step <= last) yield entry;
    }
    if (step !== commit.step || !equal(digest, commit.journalDigest))
      throw damaged(topic, commit.journalEnd, `commit ${commit.generation} does not end with step ${step}`);
  }
}

/** The committed steps that trained any sample of a record, or the one sample, in order. Reads the whole journal. */
export async function* stepsThatTrained(
  journal: AsyncIterable<StepJournal>,
  record: Omit<SampleId, 'index'> & { readonly index?: number },
): AsyncGenerator<{ readonly step: number; readonly indices: number[] }> {
  for await (const entry of journal) {
    const indices = samplesOf(entry)
      .filter((s) => s.topic === record.topic && s.partition === record.partition && s.offset === record.offset)
      .filter((s) => record.index === undefined || s.index === record.index)
      .map((s) => s.index);
    if (indices.length > 0) yield { step: entry.step, indices };
  }
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
