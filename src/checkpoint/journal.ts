import type { StepJournal } from '../codec/records.ts';
import type { SampleId } from '../operators/position.ts';
import { isSameDigest, stepDigest } from './digest.ts';

/** The journal entry of a step, chained on the digest of the step before. Terms are stored, and digested, as float32. */
export function journalEntry(
  previous: Uint8Array,
  outcome: {
    readonly step: number;
    readonly samples: readonly SampleId[];
    readonly terms: Readonly<Record<string, number>>;
    readonly keysDigest: Uint8Array;
    readonly batchDigest: Uint8Array | null;
    /** Which of the samples, by index, were read again from the archive. */
    readonly archived: readonly number[];
  },
): StepJournal {
  const topics = [...new Set(outcome.samples.map(({ topic }) => topic))];
  return {
    step: outcome.step,
    topics,
    samples: outcome.samples.map(({ topic, partition, offset, index }) => ({
      topic: topics.indexOf(topic),
      partition,
      offset,
      index,
    })),
    terms: { ...outcome.terms },
    keysDigest: outcome.keysDigest,
    digest: stepDigest(previous, outcome),
    batchDigest: outcome.batchDigest,
    archived: [...outcome.archived],
  };
}

/** The samples of an entry by their identities. */
export function samplesOf(entry: StepJournal): SampleId[] {
  return entry.samples.map(({ topic, ...place }) => ({ topic: entry.topics[topic] ?? '', ...place }));
}

/**
 * What breaks the chain that begins after step `step` with digest `digest`, in words; null when the entries are each
 * the next step and digest to what they say.
 */
export function journalBreak(step: number, digest: Uint8Array, entries: readonly StepJournal[]): string | null {
  let previous = digest;
  let expected = step;
  for (const entry of entries) {
    expected++;
    if (entry.step !== expected) return `step ${entry.step} stands where step ${expected} belongs`;
    if (!isSameDigest(entry.digest, stepDigest(previous, { ...entry, samples: samplesOf(entry) })))
      return `step ${entry.step} does not have the digest that its content and the step before give`;
    previous = entry.digest;
  }
  return null;
}
