import type { Committer } from '../../src/checkpoint/commit.ts';
import { keysDigest, ZERO_DIGEST } from '../../src/checkpoint/digest.ts';
import { journalEntry } from '../../src/checkpoint/journal.ts';
import type { StepJournal } from '../../src/codec/records.ts';
import { NOWHERE, type SampleId } from '../../src/operators/position.ts';

export const LINEAGE_RUN = 'a.run-with.dots';

/** Where a run stands: its last step and that step's digest; null before the first. */
export interface Made {
  readonly step: number;
  readonly digest: Uint8Array | null;
}

export interface Steps {
  readonly steps: number;
  readonly batch: number;
  /** What makes two runs of the same steps differ. */
  readonly salt: number;
  /** Images of a record, and records of each of the three partitions. */
  readonly images?: number;
  readonly records?: number;
}

const NO_KEYS = keysDigest(new Float32Array(0));
const STREAMS = [
  ['images.new', 0],
  ['images', 1],
  ['images', 0],
] as const;

/** The samples of a step: scattered over the records as a shuffle scatters them, each epoch in another order. */
function samplesAt(step: number, { batch, salt, images = 3, records = 40 }: Steps): SampleId[] {
  const total = STREAMS.length * images * records;
  return Array.from({ length: batch }, (_, i) => {
    const ordinal = (step - 1) * batch + i;
    const epoch = Math.floor(ordinal / total);
    // A stride without a common divisor walks through all of them before one comes again.
    const at = ((ordinal % total) * 7919 + epoch * 13 + salt * 5) % total;
    const [topic, partition] = STREAMS[at % STREAMS.length]!;
    const rest = Math.floor(at / STREAMS.length);
    return { topic, partition, offset: 2 * (rest % records), index: Math.floor(rest / records) };
  });
}

/** Commits the journal of some steps by the run's real committer: no weights, no queue. */
export async function commitSteps(committer: Committer, { step, digest }: Made, steps: Steps): Promise<Made> {
  const journal: StepJournal[] = [];
  let last = digest ?? ZERO_DIGEST;
  for (let at = step + 1; at <= step + steps.steps; at++) {
    const outcome = {
      step: at,
      samples: samplesAt(at, steps),
      terms: { total: at + steps.salt / 8, flow: 0.5, repulsion: -1 },
      keysDigest: NO_KEYS,
      batchDigest: NO_KEYS,
      archived: [],
    };
    const entry = journalEntry(last, outcome);
    journal.push(entry);
    last = entry.digest;
  }
  await committer.commit({
    step: step + steps.steps,
    state: {},
    position: NOWHERE,
    journal,
    negatives: [],
    queue: null,
  });
  return { step: step + steps.steps, digest: last };
}
