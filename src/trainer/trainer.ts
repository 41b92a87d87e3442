import { type Committer, openCommitter } from '../checkpoint/commit.ts';
import { openLineage } from '../checkpoint/commit-history.ts';
import type { CommitWitness } from '../checkpoint/commit-witness.ts';
import { ZERO_DIGEST } from '../checkpoint/digest.ts';
import type { OnEffect } from '../checkpoint/effects.ts';
import { recover } from '../checkpoint/recover.ts';
import { type RestoredState, restore } from '../checkpoint/restore.ts';
import { consumerGroup } from '../checkpoint/run-id.ts';
import type { BlobStore } from '../checkpoint/store.ts';
import type { ImageBatchReader } from '../codec/image-batch-reader.ts';
import type { Commit } from '../codec/records.ts';
import type { Engine, HostTensor } from '../engine/engine.ts';
import type { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { openImageReader } from '../registry/open-image-reader.ts';
import { type Beginning, checkBeginning, firstCommit } from './beginning.ts';
import { changesInWords, FREE_SETTINGS, TUNABLE_SETTINGS } from './changed-settings.ts';
import { Commits } from './commits.ts';
import { engineIdentity, otherEngineInWords } from './engine-identity.ts';
import { halfNames, joinHalves } from './halves.ts';
import type { Headroom } from './headroom.ts';
import { openInput } from './input.ts';
import { type Pipeline, topicsRead } from './pipeline.ts';
import type { Probe } from './probe.ts';
import type { CommitReport, StepReport } from './report.ts';
import { guardRetention } from './retention-guard.ts';
import { compileStep, stateToTrain } from './run-step.ts';
import { blobEntries, roomForBlobs } from './state-blobs.ts';
import { runSteps } from './steps.ts';
import { completedSettings } from './stored-pipeline.ts';
import { trainLayout } from './train-state.ts';
import { Uncommitted } from './uncommitted.ts';

/** Who wants to know. Called beside the step that follows: it must be quicker than that. */
export interface TrainObserver {
  /** Once, before the first step. `commit` is the one gone on from; null begins anew. */
  onStart?(commit: Commit | null): void;
  onStep?(report: StepReport): void;
  onCommit?(report: CommitReport): void;
  onCommitFailure?(error: RepulsorError): void;
  onRecords?(outcome: 'decoded' | 'skipped' | 'dead_letter', count: number): void;
  onDeadLetter?(reason: string): void;
  onLag?(topic: string, partition: number, records: number, seconds: number | null): void;
  /** How far retention is from a record that the run still needs. */
  onHeadroom?(headroom: Headroom): void;
  onWarning?(message: string): void;
}

export interface TrainSettings {
  readonly pipeline: Pipeline;
  /** Holds the input topic and the run's own topics. */
  readonly log: Log;
  readonly store: BlobStore;
  /** Notes commits outside of the log. */
  readonly witness?: CommitWitness;
  /** Id of the run. */
  readonly run: string;
  readonly engine: Engine;
  /** Reads the records' values. Default: asks the schema registry of the pipeline, where it names one, and keeps nothing. */
  readonly read?: ImageBatchReader;
  readonly observer: TrainObserver;
  /** Aborted: the training ends after the step under way, with a commit. */
  readonly signal: AbortSignal;
  /** How the run begins, where it has no commit yet; a run that has must have begun so. */
  readonly beginning?: Beginning;
  /** Go back to the newest whole commit where the last one is damaged. */
  readonly fallback?: boolean;
  /** Looks at the weights beside the steps; closed at the end. */
  readonly probe?: Probe;
  /** For crash tests. */
  readonly onEffect?: OnEffect;
}

export interface TrainResult {
  /** Why it ended. */
  readonly ended: 'steps' | 'topic' | 'interrupted';
  /** Steps done in all, over every restart, all of them committed. */
  readonly step: number;
  /** Steps and samples of this process. */
  readonly stepsHere: number;
  readonly samplesHere: number;
  /** Of this process, from its first step to its last, commits and waits included; null before two steps. */
  readonly samplesPerSecond: number | null;
  /** The last step's; null when this process made none. */
  readonly report: StepReport | null;
  /** The averaged weights, flat (`trainLayout`). */
  readonly ema: HostTensor;
}

/**
 * Trains a run from where its last commit stands until its steps are done, its topic has ended or the signal aborts,
 * and commits at the end. Takes the run over first: an older trainer of it is fenced.
 * @throws RepulsorError FENCED, DIVERGED, TOO_MANY_BAD_RECORDS and what the log, the store and the engine throw
 */
export async function train(settings: TrainSettings): Promise<TrainResult> {
  const { pipeline, log, store, run, engine, observer, signal } = settings;
  const committer = await openCommitter({
    log,
    store,
    run,
    seed: pipeline.seed,
    // The log's URL may hold a password; what it goes by does not.
    config: { ...pipeline, log: log.url },
    engine: engineIdentity(engine),
    group: consumerGroup(run),
    keep: pipeline.commit.keep,
    inputs: log,
    onWarning: (error) => observer.onWarning?.(error.message),
    ...(settings.witness && { witness: settings.witness }),
    ...(settings.onEffect && { onEffect: settings.onEffect }),
  });
  try {
    return await trainOn(committer);
  } finally {
    await committer.close();
  }

  function reader(): ImageBatchReader {
    const onWarning = (line: string) => observer.onWarning?.(line);
    return openImageReader(pipeline.source.registry, { onWarning, signal });
  }

  async function trainOn(committer: Committer): Promise<TrainResult> {
    const { commit, program, queueCount, journalDigest } = await resume(committer);
    const input = openInput(log, pipeline, commit?.position ?? null, observer, settings.read ?? reader());
    const guard = await guardRetention({
      log,
      inputs: topicsRead(pipeline),
      committer,
      keep: pipeline.commit.keep.every === 1 ? null : pipeline.commit.keep.last,
      onHeadroom: (headroom) => observer.onHeadroom?.(headroom),
      onWarning: (message) => observer.onWarning?.(message),
    });
    try {
      observer.onStart?.(commit);
      const uncommitted = new Uncommitted(journalDigest, queueCount);
      const commits = new Commits({
        committer,
        program,
        layout: trainLayout(pipeline),
        entries: blobEntries(pipeline),
        uncommitted,
        input,
        settings: pipeline.commit,
        step: commit?.step ?? 0,
        onCommit: (report) => {
          guard.committed();
          observer.onCommit?.(report);
        },
        onFailure: (error) => observer.onCommitFailure?.(error),
      });
      try {
        const from = { step: commit?.step ?? 0, position: commit?.position ?? null };
        const onStep = (report: StepReport) => observer.onStep?.(report);
        const made = await runSteps({
          ...{ pipeline, program, input, commits, uncommitted, from, signal, onStep },
          ...(settings.probe && { probe: settings.probe }),
        });
        const { ended, step, position, report, samples, seconds } = made;
        if (position !== null) await commits.finish({ step, position });
        const held = await program.snapshot(halfNames('ema'));
        const ema = joinHalves(held.tensors, 'ema');
        held.release();
        const later = samples - pipeline.operators.batch;
        return {
          ...{ ended, step, stepsHere: step - from.step, report, ema },
          samplesHere: samples,
          samplesPerSecond: later > 0 ? later / seconds : null,
        };
      } finally {
        await commits.settle();
      }
    } finally {
      guard.close();
      await input.close();
      await settings.probe?.close();
      program.dispose();
    }
  }

  /** The state itself, gigabytes, is the program's when this resolves, and nothing here refers to it any more. */
  async function resume(committer: Committer) {
    const { fallback = false, beginning } = settings;
    const freeSettings = [...FREE_SETTINGS, ...TUNABLE_SETTINGS];
    const into = roomForBlobs(engine, blobEntries(pipeline), trainLayout(pipeline));
    const complete = completedSettings;
    const recovered = await recover({ committer, inputs: log, fallback, freeSettings, complete, into });
    for (const { generation, error } of recovered?.skipped ?? [])
      observer.onWarning?.(`commit ${generation} is not whole and is given up: ${error.message}`);
    if (recovered !== null) {
      const other = otherEngineInWords(recovered.commit, committer.settings.engine);
      if (other !== null) observer.onWarning?.(other);
      for (const change of changesInWords(recovered.commit, committer.settings.config)) observer.onWarning?.(change);
      if (beginning) checkBeginning(recovered.commit, beginning);
    }
    const start = recovered ?? (beginning ? await begin(committer, beginning) : null);
    // Also for a run that makes no commit any more, or cannot before there is room: it may keep fewer of them now.
    // Not while commits are to be given up that the log may have lost: until the next commit they may yet be restored.
    if ((recovered?.skipped.length ?? 0) === 0) committer.collect();
    const { state, queue } = stateToTrain(pipeline, start, engine.room);
    const program = await compileStep(engine, pipeline, state);
    // The first of its kind takes a graph of its own: at the start, and not in the middle of the training.
    (await program.snapshot([])).release();
    return {
      commit: start?.commit ?? null,
      journalDigest: start?.journalDigest ?? ZERO_DIGEST,
      queueCount: queue?.count ?? null,
      program,
    };
  }

  async function begin(committer: Committer, how: Beginning): Promise<RestoredState | null> {
    await committer.commit(await firstCommit(log, pipeline, how));
    return restore({ log, store, run, lineage: openLineage(log, committer.topics.commits) }, 0);
  }
}
