import { keysDigest } from '../checkpoint/digest.ts';
import { journalEntry } from '../checkpoint/journal.ts';
import type { Negatives, StepJournal } from '../codec/records.ts';
import { appendRows, negativesOf, type QueueHistory } from '../memory-bank/changelog.ts';
import type { SampleId } from '../operators/position.ts';

const NO_KEYS = new Float32Array(0);

/**
 * The steps that no commit holds yet: their journal, the rows they put into the queue, and the queue's host ring after
 * them. It means nothing until it is committed: after a crash these steps never were.
 */
export class Uncommitted {
  readonly journal: StepJournal[] = [];
  readonly negatives: Negatives[] = [];
  /** Null when the run has no queue. */
  readonly queue: QueueHistory | null;
  #digest: Uint8Array;

  /** `digest`: of the last committed journal entry. `queue`: as committed; owned from here on. */
  constructor(digest: Uint8Array, queue: QueueHistory | null) {
    this.#digest = digest;
    this.queue = queue;
  }

  /** One step more. keys: (B, d), null without a queue; labels: (B). */
  add(step: {
    readonly step: number;
    readonly samples: readonly SampleId[];
    readonly labels: Int32Array;
    readonly terms: Readonly<Record<string, number>>;
    readonly keys: Float32Array | null;
    readonly batchDigest: Uint8Array;
  }): void {
    const entry = journalEntry(this.#digest, { ...step, keysDigest: keysDigest(step.keys ?? NO_KEYS) });
    this.#digest = entry.digest;
    this.journal.push(entry);
    if (this.queue === null || step.keys === null) return;
    const rows = negativesOf(step.step, step.keys, step.labels);
    this.negatives.push(rows);
    appendRows(this.queue, rows);
  }

  /** Forgets the first `steps` steps: a commit holds them now. */
  committed(steps: number): void {
    this.journal.splice(0, steps);
    this.negatives.splice(0, this.queue === null ? 0 : steps);
  }
}
