import { isSameDigest, keysDigest } from '../checkpoint/digest.ts';
import { journalEntry, samplesOf } from '../checkpoint/journal.ts';
import type { StepJournal } from '../codec/records.ts';
import { type Deviation, larger, largestDeviation } from './deviation.ts';

/** What can differ at a step, in the order in which one thing comes of another. */
export type What = 'records' | 'batch' | 'keys' | 'loss' | 'queue' | 'weights';

export interface Difference {
  readonly what: What;
  /** For people: what was recorded, what came now. */
  readonly message: string;
}

/** The largest deviations met so far; null where nothing was compared by value. */
export interface MaxDeviation {
  loss: Deviation | null;
  keys: Deviation | null;
  weights: Deviation | null;
}

/** A step as it came now. */
export interface ReplayedStep {
  readonly terms: Readonly<Record<string, number>>;
  /** (B, d); null without a queue. */
  readonly keys: Float32Array | null;
  readonly batchDigest: Uint8Array;
}

/** Bit for bit. `previous`: the recorded digest of the step before, which this one agreed with. */
export function differences(previous: Uint8Array, recorded: StepJournal, replayed: ReplayedStep): Difference[] {
  const keys = keysDigest(replayed.keys ?? new Float32Array(0));
  const entry = journalEntry(previous, {
    step: recorded.step,
    samples: samplesOf(recorded),
    terms: replayed.terms,
    archived: recorded.archived,
    keysDigest: keys,
    // What an older version did not record cannot be compared.
    batchDigest: recorded.batchDigest === null ? null : replayed.batchDigest,
  });
  if (isSameDigest(entry.digest, recorded.digest)) return [];
  const found = batchDifference(recorded, replayed);
  if (!isSameDigest(keys, recorded.keysDigest))
    found.push({ what: 'keys', message: 'the keys are not those of the journal' });
  const terms = termsThat((now, then) => !Object.is(Math.fround(now), Math.fround(then)), recorded, replayed);
  if (terms !== null) found.push({ what: 'loss', message: terms });
  return found;
}

/** By value: `keys` are the recorded ones. What does not depend on the engine must still be equal. */
export function deviations(
  recorded: StepJournal,
  replayed: ReplayedStep,
  keys: Float32Array | null,
  tolerance: number,
  max: MaxDeviation,
): Difference[] {
  const { step } = recorded;
  const found = batchDifference(recorded, replayed);
  if (replayed.keys !== null && keys !== null) {
    const value = largestDeviation(replayed.keys, keys);
    max.keys = larger(max.keys, { value, step, name: 'keys' });
    if (value > tolerance) found.push({ what: 'keys', message: `the keys deviate by up to ${value}` });
  }
  for (const [name, then] of Object.entries(recorded.terms)) {
    const value = largestDeviation([replayed.terms[name] ?? Number.NaN], [then]);
    max.loss = larger(max.loss, { value, step, name });
  }
  const beyond = (now: number, then: number) => largestDeviation([now], [then]) > tolerance;
  const terms = termsThat(beyond, recorded, replayed);
  if (terms !== null) found.push({ what: 'loss', message: terms });
  return found;
}

function batchDifference(recorded: StepJournal, { batchDigest }: ReplayedStep): Difference[] {
  if (recorded.batchDigest === null || isSameDigest(recorded.batchDigest, batchDigest)) return [];
  const message =
    'the records give other images or labels than were trained: their bytes, or the code that decodes and flips them, changed';
  return [{ what: 'batch', message }];
}

function termsThat(
  differ: (now: number, then: number) => boolean,
  recorded: StepJournal,
  replayed: ReplayedStep,
): string | null {
  const names = [...new Set([...Object.keys(recorded.terms), ...Object.keys(replayed.terms)])].sort();
  const told = names
    .map((name) => ({ name, now: replayed.terms[name] ?? Number.NaN, was: recorded.terms[name] ?? Number.NaN }))
    .filter(({ now, was }) => differ(now, was))
    .map(({ name, now, was }) => `${name} was ${was}, is ${now}`);
  return told.length === 0 ? null : told.join('; ');
}
