import type { Committer } from '../checkpoint/commit.ts';
import type { Program } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { queueDigest } from '../memory-bank/changelog.ts';
import type { ParameterLayout } from '../model/parameters.ts';
import type { StreamPosition } from '../operators/position.ts';
import type { Input } from './input.ts';
import type { CommitReport } from './report.ts';
import { toBlobs } from './state-blobs.ts';
import type { Uncommitted } from './uncommitted.ts';

/** Commits that may fail in a row for want of a disk or a broker before the run gives up. */
const MOST_FAILURES = 3;

/** Bad records are held until a commit has them: so many bytes of them make one due. */
const MOST_DEAD_LETTER_BYTES = 8 * 2 ** 20;

export interface CommitsSettings {
  readonly everySteps: number;
  readonly everySeconds: number;
}

/** Where the training stands, between two steps. */
export interface Standing {
  readonly step: number;
  readonly position: StreamPosition;
}

/**
 * Commits beside the training: a step waits only for the copy of the state; the writing goes on while steps run. One
 * commit at a time: one that falls due meanwhile waits for the next step after.
 */
export class Commits {
  readonly #committer: Committer;
  readonly #program: Program;
  readonly #layout: ParameterLayout;
  readonly #entries: readonly string[];
  readonly #uncommitted: Uncommitted;
  readonly #input: Input;
  readonly #settings: CommitsSettings;
  readonly #onCommit: (report: CommitReport) => void;
  readonly #onFailure: (error: RepulsorError) => void;
  #step: number;
  #time = performance.now();
  #running: Promise<void> | null = null;
  #failures = 0;
  #failure: unknown = null;

  constructor(wiring: {
    committer: Committer;
    program: Program;
    layout: ParameterLayout;
    /** Names of the program's state that go into blobs. */
    entries: readonly string[];
    uncommitted: Uncommitted;
    input: Input;
    settings: CommitsSettings;
    step: number;
    onCommit: (report: CommitReport) => void;
    onFailure: (error: RepulsorError) => void;
  }) {
    this.#committer = wiring.committer;
    this.#program = wiring.program;
    this.#layout = wiring.layout;
    this.#entries = wiring.entries;
    this.#uncommitted = wiring.uncommitted;
    this.#input = wiring.input;
    this.#settings = wiring.settings;
    this.#step = wiring.step;
    this.#onCommit = wiring.onCommit;
    this.#onFailure = wiring.onFailure;
  }

  /** Starts a commit if one is due and none is under way. @throws what stopped an earlier one for good. */
  async afterStep(standing: Standing): Promise<boolean> {
    this.#throwFailure();
    const { everySteps, everySeconds } = this.#settings;
    const due =
      standing.step - this.#step >= everySteps ||
      performance.now() - this.#time >= everySeconds * 1000 ||
      this.#input.deadLetterBytes > MOST_DEAD_LETTER_BYTES;
    if (!due || this.#running !== null) return false;
    await this.#begin(standing);
    return true;
  }

  /** Commits what is left, and waits for it. Does nothing when all is committed. @throws what stops it. */
  async finish(standing: Standing): Promise<void> {
    await this.#running;
    this.#throwFailure();
    while (this.#step < standing.step) {
      await this.#begin(standing);
      await this.#running;
      this.#throwFailure();
    }
  }

  /** Waits for a commit under way, whatever becomes of it. */
  async settle(): Promise<void> {
    await this.#running;
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  async #begin({ step, position }: Standing): Promise<void> {
    const { journal, negatives, queue } = this.#uncommitted;
    const begun = performance.now();
    const state = await this.#program.readState(this.#entries);
    const request = {
      step,
      state: toBlobs(state, this.#layout),
      position,
      journal: [...journal],
      negatives: [...negatives],
      queue: queue && { capacity: queue.capacity, dim: queue.dim, count: queue.count, digest: queueDigest(queue) },
      deadLetters: this.#input.deadLettersBefore(position),
      stallSeconds: (performance.now() - begun) / 1000,
    };
    this.#time = performance.now();
    this.#running = this.#committer
      .commit(request)
      .then(
        (report) => {
          this.#step = step;
          this.#failures = 0;
          this.#uncommitted.committed(request.journal.length);
          this.#input.committed(position);
          this.#onCommit(report);
        },
        (error: unknown) => this.#failed(error),
      )
      .finally(() => {
        this.#running = null;
      });
  }

  /** What may pass (a full disk, a broker that restarts) is tried again at the next occasion, with what came since. */
  #failed(error: unknown): void {
    const mayPass =
      error instanceof RepulsorError && ['STORE_FAILED', 'LOG_FAILED', 'LOG_UNREACHABLE'].includes(error.code);
    if (!mayPass || ++this.#failures >= MOST_FAILURES) this.#failure = error;
    if (error instanceof RepulsorError) this.#onFailure(error);
  }
}
