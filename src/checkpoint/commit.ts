import type { Negatives, Origin, QueueState, StepJournal } from '../codec/records.ts';
import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import type { StreamPosition } from '../operators/position.ts';
import type { CommitReport } from '../trainer/report.ts';
import { type CommitEntry, type Lineage, openLineage } from './commit-history.ts';
import { writeCommit } from './commit-transaction.ts';
import type { CommitWitness } from './commit-witness.ts';
import { ZERO_DIGEST } from './digest.ts';
import type { OnEffect } from './effects.ts';
import { journalBreak } from './journal.ts';
import { checkKeep, type KeepSettings } from './keep-rule.ts';
import { type RunTopics, runTopics, transactionalId } from './run-id.ts';
import { putState, type StateBlobs } from './state-blobs.ts';
import type { BlobStore } from './store.ts';
import { openSweeper } from './sweep.ts';

export interface CommitterSettings {
  /** Holds the run's topics. */
  readonly log: Log;
  /** Holds this run's blobs and no other's. */
  readonly store: BlobStore;
  readonly run: string;
  readonly seed: number;
  /** The resolved pipeline settings. */
  readonly config: unknown;
  /** Engine, device, threads, versions. */
  readonly engine: string;
  /** A consumer group whose offsets each commit sets, so that lag monitors see the run. Needs the inputs in `log`. */
  readonly group?: string;
  /** Which commits keep their blobs; those of others are removed beside the training. Default: none are removed. */
  readonly keep?: KeepSettings;
  /** Holds the inputs: the oldest commit is kept, too, that can still be replayed from. Default: none is for that. */
  readonly inputs?: Log;
  /** Notes each commit outside of the log, so that a log which lost commits is found out. */
  readonly witness?: CommitWitness;
  /** Told of what went wrong beside the commits, such as an old blob that cannot be removed. */
  readonly onWarning?: (error: RepulsorError) => void;
  readonly onEffect?: OnEffect;
}

/** What became of the run since the last commit. Nothing in it may change until the commit settles, nor is it looked at after. */
export interface CommitRequest {
  /** Steps done. */
  readonly step: number;
  readonly state: StateBlobs;
  /** Where the input goes on after the last sample trained. */
  readonly position: StreamPosition;
  /** One entry for each step since the last commit. */
  readonly journal: readonly StepJournal[];
  /** The rows these steps put into the queue, in order. */
  readonly negatives: readonly Negatives[];
  /** The queue after them (src/memory-bank/changelog.ts); null when the run has none. */
  readonly queue: Pick<QueueState, 'capacity' | 'dim' | 'count' | 'digest'> | null;
  /** Encoded dead-letter records of inputs before `position`. */
  readonly deadLetters?: readonly Uint8Array[];
  /** How the run began, in its first commit; those after it have it from there. */
  readonly began?: { readonly origin: Origin | null; readonly since: string | null };
  /** Seconds in which no step could run while the copies were made; part of the report. */
  readonly stallSeconds?: number;
}

/** The one trainer that may commit to a run. */
export interface Committer {
  readonly settings: CommitterSettings;
  readonly topics: RunTopics;
  /** Of this trainer: above that of every commit before. Its commits carry it, and its blobs as their owner. */
  readonly epoch: number;
  /** The commits as they stood at the take-over. */
  readonly lineage: Lineage;
  /** The commit that the next one continues; null before the first. */
  readonly parent: CommitEntry | null;
  /** Why this committer makes no more commits; null while it may. */
  readonly over: RepulsorError | null;
  /** Continue the lineage's commit at `index`: those after it are given up by the next commit. Done by `recover`. */
  continueFrom(index: number): Promise<void>;
  /**
   * Removes the blobs that no kept commit needs, and what dead writers left unfinished; it is done after each commit too. Does
   * nothing while newer commits are to be given up: until the next commit has done so, they may yet be restored. It runs beside
   * the training; the next commit, and `close`, wait for it.
   */
  collect(): void;
  /**
   * Blobs first, then one transaction. One at a time; training may go on meanwhile.
   * After STORE_FAILED, or a LOG_FAILED whose message says the commit was not made, it may be tried again with what came
   * since. After any other error this committer makes no more commits: recovery finds out which commit is the last.
   * @throws RepulsorError FENCED, STORE_FAILED, LOG_FAILED, LOG_UNREACHABLE, STATE_MISMATCH
   */
  commit(request: CommitRequest): Promise<CommitReport>;
  close(): Promise<void>;
}

/**
 * Takes the run over: whoever committed to it before is fenced, and the transaction it left open is ended, before
 * anything is read. Makes the run's topics when they are not there.
 * @throws RepulsorError USAGE, STATE_DAMAGED, FORMAT_NEWER, and what the log throws
 */
export async function openCommitter(settings: CommitterSettings): Promise<Committer> {
  const { log, store, run } = settings;
  if (settings.keep !== undefined) checkKeep(settings.keep);
  // A store out of reach is told now: not after hours of training, and before the trainer that has it is fenced.
  await store.list();
  const topics = runTopics(run);
  for (const topic of Object.values(topics)) await log.createTopic(topic, { partitions: 1, retentionMs: null });
  const writer = await log.takeOver(transactionalId(run));
  const lineage = openLineage(log, topics.commits);
  /** Last in the topic; the parent is an older one after a fallback. */
  let newest: CommitEntry | null;
  try {
    newest = await lineage.at(0);
    if (newest !== null && newest.commit.run !== run) throw strangeRun(topics.commits, newest.commit.run);
  } catch (error) {
    await writer.close();
    throw error;
  }
  let parent = newest;
  const epoch = epochAfter(newest, writer.epoch);
  const sweeper =
    settings.keep === undefined
      ? null
      : openSweeper({ ...settings, keep: settings.keep, topic: topics.commits, owner: epoch });
  let sweeping: Promise<void> = Promise.resolve();
  let busy = false;
  let over: RepulsorError | null = null;
  /** No later commit is noted than this one, as long as nobody else trains the run in the same folder. */
  let noted = Math.max(newest?.commit.generation ?? 0, await notedIn(settings));

  function sweep(head: CommitEntry): void {
    sweeping = sweeping.then(async () => {
      try {
        await sweeper?.sweep(head);
      } catch (error) {
        if (!(error instanceof RepulsorError)) throw error;
        settings.onWarning?.(error); // the commits stand; after the next one it is tried again
      }
    });
    sweeping.catch(() => undefined); // told by whoever waits for it: the next commit, or close
  }

  return {
    settings,
    topics,
    epoch,
    lineage,
    get parent() {
      return parent;
    },
    get over() {
      return over;
    },
    async continueFrom(index) {
      parent = await lineage.at(index);
    },
    collect() {
      if (newest !== null && newest === parent) sweep(newest);
    },
    async commit(request) {
      if (over !== null) throw over;
      if (busy) throw new Error('a commit is under way: one at a time');
      busy = true;
      try {
        await sweeping;
        const started = performance.now();
        checkContinues(parent, request);
        if ((await notedIn(settings)) > noted) {
          over = overtaken(run, settings.witness!.where);
          throw over;
        }
        const { blobs, bytesWritten } = await putState(store, request.state, epoch).catch((error: unknown) => {
          sweeper?.lost();
          throw error;
        });
        sweeper?.stored(blobs);
        const outcome = await writeCommit(writer, topics, settings, request, { epoch, blobs, parent, newest });
        if (outcome.made === null) {
          if (outcome.final) over = outcome.error;
          throw outcome.error;
        }
        newest = outcome.made;
        parent = newest;
        await noteCommit(settings, newest);
        noted = newest.commit.generation;
        sweep(newest);
        const stallSeconds = request.stallSeconds ?? 0;
        return {
          step: request.step,
          generation: newest.commit.generation,
          samples: request.position.samples,
          seconds: stallSeconds + (performance.now() - started) / 1000,
          stallSeconds,
          bytesWritten,
        };
      } finally {
        busy = false;
      }
    },
    async close() {
      try {
        await sweeping;
      } finally {
        await writer.close();
      }
    },
  };
}

/**
 * The log's epoch, which rises with each take-over, but where it does not rise over the last commit's: on Kafka after the
 * broker forgot an id unused for days, or where the run's topics were copied into another log. There the next numbers are
 * taken, apart by what tells two take-overs of one Kafka producer apart.
 */
function epochAfter(newest: CommitEntry | null, logEpoch: number): number {
  const before = newest?.commit.epoch ?? 0;
  return logEpoch > before ? logEpoch : before + 1 + (logEpoch % 2 ** 15);
}

/** A commit that does not continue its parent would be found out at the recovery, too late: refuse to make it. */
function checkContinues(parent: CommitEntry | null, request: CommitRequest): void {
  const { step, journal, negatives, queue } = request;
  const before = parent?.commit ?? null;
  const broken = journalBreak(before?.step ?? 0, before?.journalDigest ?? ZERO_DIGEST, journal);
  if (broken !== null) throw doesNotContinue(broken);
  const journaled = (before?.step ?? 0) + journal.length;
  if (journaled !== step) throw doesNotContinue(`it is of step ${step}, its journal ends at step ${journaled}`);
  const rows = negatives.reduce((sum, record) => sum + record.rows, before?.negatives.count ?? 0);
  if (rows !== (queue?.count ?? 0)) throw doesNotContinue(`its queue counts ${queue?.count ?? 0} rows, not ${rows}`);
}

function doesNotContinue(what: string): RepulsorError {
  return new RepulsorError('STATE_MISMATCH', `this state does not continue the last commit: ${what}`, {
    hint: 'Nothing was committed. A trainer goes on from what recovery gave it; please report this with its output.',
  });
}

/** 0 where nothing can be read: the next note mends that, and what a recovery must know it has asked for itself. */
async function notedIn({ witness }: CommitterSettings): Promise<number> {
  try {
    return (await witness?.generation()) ?? 0;
  } catch (error) {
    if (!(error instanceof RepulsorError)) throw error;
    return 0;
  }
}

/** A writer of the same log is fenced by it all the same. This is for a copy of the log, whose trainer shares only the folder. */
function overtaken(run: string, where: string): RepulsorError {
  return new RepulsorError('FENCED', `another trainer has committed to the run ${run} meanwhile (${where})`, {
    hint: 'Nothing was committed here. It took the run over, or trains it on a copy of the log: give a copy a folder of its own.',
  });
}

async function noteCommit({ witness, onWarning }: CommitterSettings, { commit }: CommitEntry): Promise<void> {
  try {
    await witness?.note(commit.generation);
  } catch (error) {
    if (!(error instanceof RepulsorError)) throw error;
    onWarning?.(error); // the commit stands; the next one is noted in its stead
  }
}

function strangeRun(topic: string, run: string): RepulsorError {
  return new RepulsorError('STATE_DAMAGED', `the topic ${topic} holds commits of the run ${run}`, {
    hint: 'Choose another run id, or restore the topic.',
  });
}
