import { keysDigest } from '../checkpoint/digest.ts';
import { journalEntry } from '../checkpoint/journal.ts';
import type { Negatives, StepJournal } from '../codec/records.ts';
import { negativesOf } from '../memory-bank/changelog.ts';
import type { SampleId } from '../operators/position.ts';

const NO_KEYS = new Float32Array(0);

/**
 * The steps that no commit holds yet: their journal, and the rows they put into the queue. It means nothing until it is
 * committed: after a crash these steps never were.
 */
export class Uncommitted {
  readonly journal: StepJournal[] = [];
  readonly negatives: Negatives[] = [];
  /** Rows ever put into the queue, these included; null when the run has none. */
  queueCount: number | null;
  #digest: Uint8Array;

  /** `digest`: of the last committed journal entry. `queueCount`: as committed. */
  constructor(digest: Uint8Array, queueCount: number | null) {
    this.#digest = digest;
    this.queueCount = queueCount;
  }

  /** One step more. keys: (B, d), null without a queue; labels: (B). */
  add(step: {
    readonly step: number;
    readonly samples: readonly SampleId[];
    /** Which of them, by index, were read again from the archive. */
    readonly archived: readonly number[];
    readonly labels: Int32Array;
    readonly terms: Readonly<Record<string, number>>;
    readonly keys: Float32Array | null;
    readonly batchDigest: Uint8Array;
  }): void {
    const entry = journalEntry(this.#digest, { ...step, keysDigest: keysDigest(step.keys ?? NO_KEYS) });
    this.#digest = entry.digest;
    this.journal.push(entry);
    if (this.queueCount === null || step.keys === null) return;
    const rows = negativesOf(step.step, step.keys, step.labels);
    this.negatives.push(rows);
    this.queueCount += rows.rows;
  }

  /** Forgets the first `steps` steps: a commit holds them now. */
  committed(steps: number): void {
    this.journal.splice(0, steps);
    this.negatives.splice(0, this.queueCount === null ? 0 : steps);
  }
}
