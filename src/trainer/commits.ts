import { setTimeout as sleep } from 'node:timers/promises';
import { hashOf } from '../checkpoint/background-hash.ts';
import type { CommitRequest, Committer } from '../checkpoint/commit.ts';
import { encode } from '../codec/single-object.ts';
import type { HostTensors, Program } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { digestedBytes, type QueueHistory, queueFromState } from '../memory-bank/changelog.ts';
import type { ParameterLayout } from '../model/parameters.ts';
import { asDeadLetter } from '../operators/dead-letter.ts';
import type { StreamPosition } from '../operators/position.ts';
import type { Input } from './input.ts';
import type { CommitReport } from './report.ts';
import { toBlobs } from './state-blobs.ts';
import type { Uncommitted } from './uncommitted.ts';

/** What a queue's digest is made of. */
const QUEUE_COLUMNS = ['queue.rows', 'queue.labels', 'queue.steps'];

/** Commits that may fail in a row for want of a disk or a broker before the run gives up. */
const MOST_FAILURES = 3;

/** Milliseconds before the second and the third attempt at the last commit, which no step follows. */
const LAST_RETRIES = [1_000, 3_000];

/** Bad records are held until a commit has them: so many bytes of them make one due. */
const MOST_REJECTED_BYTES = 8 * 2 ** 20;

export interface CommitsSettings {
  readonly everySteps: number;
  readonly everySeconds: number;
}

/** Where the training stands, between two steps. */
export interface Standing {
  readonly step: number;
  readonly position: StreamPosition;
}

/** The state after a step, held for a commit. Either is called once, `commit` when that step is in `uncommitted`. */
export interface Held {
  /** When it was held, by performance.now(): no step could run before. Infinite until then. */
  readonly heldAt: number;
  commit(): void;
  /** Gives it up instead. */
  release(): void;
}

/**
 * Commits beside the training: a step waits only until the state is held as it stands; the writing goes on while steps run.
 * One commit at a time: one that falls due meanwhile waits for the next step after.
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
  /** Committed. */
  #step: number;
  /** Of the last commit begun, whatever became of it. */
  #attempted: number;
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
    this.#attempted = wiring.step;
    this.#onCommit = wiring.onCommit;
    this.#onFailure = wiring.onFailure;
  }

  /**
   * Holds the state as it stands for a commit, if one is due and none is under way: in front of whatever is run next, and
   * without waiting. @throws what stopped an earlier commit for good
   */
  holdIfDue(standing: Standing): Held | null {
    this.#throwFailure();
    return this.#isDue(standing) ? this.#hold(standing) : null;
  }

  /**
   * Waits for the next batch, and makes the commit that falls due meanwhile: a topic may be silent for hours. All steps so far
   * are told; none may run until it resolves. @throws what `waiting` rejects with, and what stops a commit for good
   */
  async during<T>(waiting: Promise<T>, standing: Standing | null): Promise<T> {
    const arrived = waiting.then(
      () => true,
      () => true,
    );
    for (;;) {
      const occasions: Promise<boolean>[] = [arrived];
      let timer: NodeJS.Timeout | undefined;
      if (this.#running !== null) occasions.push(this.#running.then(() => false));
      else if (standing !== null && this.#hasNews(standing)) {
        // A timer's longest delay is 2^31 - 1 ms: a longer one would fire at once.
        const due = Math.min(
          2 ** 31 - 1,
          Math.max(0, this.#time + this.#settings.everySeconds * 1000 - performance.now()),
        );
        occasions.push(
          new Promise((resolve) => {
            timer = setTimeout(resolve, due, false);
          }),
        );
      }
      const ready = await Promise.race(occasions);
      clearTimeout(timer);
      if (ready) return waiting;
      this.#throwFailure();
      if (standing !== null) this.holdIfDue(standing)?.commit();
    }
  }

  /** Commits what is left, and waits for it. Does nothing when all is committed. @throws what stops it. */
  async finish(standing: Standing): Promise<void> {
    for (;;) {
      await this.#running;
      this.#throwFailure();
      if (!this.#hasNews(standing)) return;
      if (this.#failures > 0) await sleep(LAST_RETRIES[this.#failures - 1]);
      this.#hold(standing).commit();
    }
  }

  /** Waits for a commit under way, whatever becomes of it. */
  async settle(): Promise<void> {
    await this.#running;
  }

  #hasNews({ step, position }: Standing): boolean {
    return step > this.#step || this.#input.rejectionsBefore(position).length > 0;
  }

  /** A commit that failed is due again when a new one would be: what failed it has that long to pass. */
  #isDue(standing: Standing): boolean {
    if (this.#running !== null || !this.#hasNews(standing)) return false;
    return (
      standing.step - this.#attempted >= this.#settings.everySteps ||
      performance.now() - this.#time >= this.#settings.everySeconds * 1000 ||
      (this.#failures === 0 && this.#rejectedBytes(standing) > MOST_REJECTED_BYTES)
    );
  }

  #rejectedBytes({ position }: Standing): number {
    return this.#input.rejectionsBefore(position).reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  #hold(standing: Standing): Held {
    const begun = performance.now();
    this.#time = begun;
    this.#attempted = standing.step;
    const columns = this.#uncommitted.queueCount === null ? [] : QUEUE_COLUMNS;
    let heldAt = Number.POSITIVE_INFINITY;
    const snapshot = this.#program.snapshot([...this.#entries, ...columns]).then((held) => {
      heldAt = performance.now();
      return held;
    });
    const release = () => {
      snapshot.then(
        (held) => held.release(),
        () => {}, // It held nothing; `commit` tells why.
      );
    };
    return {
      get heldAt() {
        return heldAt;
      },
      release,
      commit: () => {
        const { journal, negatives, queueCount } = this.#uncommitted;
        const news = { journal: [...journal], negatives: [...negatives], queueCount };
        this.#running = snapshot
          .then(({ tensors }) => this.#commit(standing, tensors, news, (heldAt - begun) / 1000))
          .catch((error: unknown) => this.#failed(error))
          .finally(() => {
            release();
            this.#running = null;
          });
      },
    };
  }

  async #commit(
    { step, position }: Standing,
    tensors: HostTensors,
    { journal, negatives, queueCount }: Pick<Uncommitted, 'journal' | 'negatives' | 'queueCount'>,
    stallSeconds: number,
  ): Promise<void> {
    await this.#input.demandSameTopics();
    const report = await this.#committer.commit({
      step,
      state: toBlobs(tensors, this.#layout),
      position,
      journal,
      negatives,
      queue: queueCount === null ? null : await digestOf(queueFromState(tensors, queueCount)),
      deadLetters: this.#input
        .rejectionsBefore(position)
        .map((rejection) => encode('dead-letter', asDeadLetter(rejection, Date.now()))),
      stallSeconds,
    });
    this.#step = step;
    this.#failures = 0;
    this.#uncommitted.committed(journal.length);
    this.#input.committed(position);
    this.#onCommit(report);
  }

  /** What may pass (a full disk, a broker that restarts) is tried again, with what came since. */
  #failed(error: unknown): void {
    const mayPass =
      error instanceof RepulsorError &&
      ['STORE_FAILED', 'LOG_FAILED', 'LOG_UNREACHABLE'].includes(error.code) &&
      this.#committer.over === null;
    if (!mayPass || ++this.#failures >= MOST_FAILURES) this.#failure = error;
    if (error instanceof RepulsorError) this.#onFailure(error);
  }
}

/** Of the rows that the steps were trained against: the engine's own, not a second ring's. */
async function digestOf(queue: QueueHistory): Promise<CommitRequest['queue']> {
  const { capacity, dim, count, rows } = queue;
  return { capacity, dim, count, digest: Buffer.from(await hashOf(digestedBytes(queue), rows.byteLength), 'hex') };
}
