import { openFolderStore } from '../checkpoint/folder-store.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import type { BlobStore } from '../checkpoint/store.ts';
import { openEngine } from '../engine/choose.ts';
import type { Engine, EngineWish } from '../engine/engine.ts';
import { EXIT, RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { openLog } from '../log/open-log.ts';
import { planReplay } from '../replay/plan.ts';
import { replay } from '../replay/replay.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import { type TrainResult, train } from '../trainer/trainer.ts';
import { trainingLanes } from '../trainer/training-lanes.ts';
import { type Accident, effectCounter, type Point, type RecoveryPart } from './accident.ts';
import { overlay } from './overlay.ts';

/** One life of a trainer: what it trains, and what happens to it. */
export interface LifeTask {
  /** With its log's URL, secrets included: it goes through a pipe, never through arguments. */
  readonly pipeline: Pipeline;
  readonly run: string;
  /** Folder of the blobs. */
  readonly blobs: string;
  readonly engine: EngineWish;
  readonly threads: number | null;
  readonly fallback: boolean;
  /** Train the committed steps again from the journal and compare, as `repulsor replay` does, and nothing else. */
  readonly replays: boolean;
  readonly accident: Accident | null;
}

/** What a life says, one line of JSON each, as it happens. */
export type LifeLine =
  | { readonly kind: 'engine'; readonly message: string; readonly fellBack: boolean }
  | { readonly kind: 'started'; readonly step: number }
  | {
      readonly kind: 'moment';
      readonly when: 'before' | 'after';
      readonly effect: (Point & { at: 'effect' })['effect'];
    }
  | { readonly kind: 'step'; readonly step: number }
  | { readonly kind: 'committed'; readonly step: number }
  /** The point of its accident: the accident follows. */
  | { readonly kind: 'reached' }
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'replayed'; readonly through: number; readonly diverged: string | null }
  | { readonly kind: 'ended'; readonly ended: TrainResult['ended']; readonly step: number }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly hint: string };

/** What stands between the trainer and the world. Tests break one, to see the certifier find it out. */
export interface Parts {
  readonly log?: (log: Log) => Log;
  readonly store?: (store: BlobStore) => BlobStore;
  readonly engine?: (engine: Engine) => Engine;
}

/**
 * Trains by the very code of `repulsor train` until the run's steps are done or the accident ends it; the exit status that
 * `repulsor train` would have. `say` must have written its line when it returns: a kill follows at once.
 */
export async function live(task: LifeTask, say: (line: LifeLine) => void, parts: Parts = {}): Promise<number> {
  const stop = new AbortController();
  process.on('SIGTERM', () => stop.abort());
  const { pipeline, run, accident } = task;
  const happens = async (): Promise<void> => {
    say({ kind: 'reached' });
    if (accident!.does === 'fail') throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    signalMyself(accident!.does);
    if (accident!.does === 'kill') await new Promise(() => undefined); // nothing more may happen until it takes effect
  };
  const place = effectCounter();
  const onEffect = async (when: 'before' | 'after', effect: (Point & { at: 'effect' })['effect']): Promise<void> => {
    const { commit, nth } = place(when, effect);
    say({ kind: 'moment', when, effect });
    const point = accident?.point;
    if (point?.at !== 'effect' || point.when !== when || point.effect !== effect) return;
    if (point.commit === commit && point.nth === nth) await happens();
  };
  let recovering = true;
  let met = false;
  const onRecovery = async (part: RecoveryPart): Promise<void> => {
    if (!recovering || accident?.point.at !== 'recovery' || accident.point.part !== part) return;
    await happens();
  };
  try {
    const opened = await openEngine({
      name: task.engine,
      lanes: trainingLanes(pipeline),
      ...(task.threads !== null && { threads: task.threads }),
    });
    say({ kind: 'engine', message: opened.message, fellBack: opened.fellBack });
    const engine = parts.engine?.(opened.engine) ?? opened.engine;
    const opening = await openLog(pipeline.log);
    const log = parts.log?.(opening) ?? opening;
    try {
      const folder = await openFolderStore(task.blobs, { onEffect });
      if (task.replays) {
        const plan = await planReplay({ log, store: folder, run }, {});
        const { identicalThrough, diverged } = await replay({ log, store: folder, run, plan, engine, tolerance: null });
        say({ kind: 'replayed', through: identicalThrough, diverged: diverged?.message ?? null });
        return diverged === null ? EXIT.done : EXIT.failed;
      }
      const result = await train({
        pipeline,
        log: watchedLog(log, run, onRecovery),
        store: watchedStore(parts.store?.(folder) ?? folder, onRecovery),
        run,
        engine,
        signal: stop.signal,
        fallback: task.fallback,
        onEffect,
        observer: {
          onStart(commit) {
            recovering = false;
            say({ kind: 'started', step: commit?.step ?? 0 });
          },
          onStep({ step }) {
            say({ kind: 'step', step });
            // A run that went on past the step before it stopped meets it right away.
            if (met || accident?.point.at !== 'step' || step < accident.point.step) return;
            met = true;
            say({ kind: 'reached' });
            signalMyself(accident.does);
          },
          onCommit: ({ step }) => say({ kind: 'committed', step }),
          onCommitFailure: ({ message }) => say({ kind: 'warning', message: `a commit failed: ${message}` }),
          onWarning: (message) => say({ kind: 'warning', message }),
        },
      });
      say({ kind: 'ended', ended: result.ended, step: result.step });
      return result.ended === 'interrupted' ? EXIT.interrupted : EXIT.done;
    } finally {
      await log.close();
      opened.engine.dispose();
    }
  } catch (error) {
    const known = error instanceof RepulsorError;
    const message = known ? error.message : `${(error as Error).stack ?? error}`;
    say({ kind: 'failed', code: known ? error.code : 'INTERNAL', message, hint: known ? error.hint : '' });
    return known ? error.exitStatus : EXIT.failed;
  }
}

const SIGNALS = { kill: 'SIGKILL', sleep: 'SIGSTOP', terminate: 'SIGTERM' } as const;

function signalMyself(does: Accident['does']): void {
  if (does !== 'fail') process.kill(process.pid, SIGNALS[does]);
}

type OnRecovery = (part: RecoveryPart) => Promise<void>;

function watchedLog(log: Log, run: string, onRecovery: OnRecovery): Log {
  const topics = runTopics(run);
  const parts = new Map<string, RecoveryPart>([
    [topics.commits, 'commits'],
    [topics.negatives, 'queue'],
  ]);
  return overlay(log, {
    async *read(topic, options) {
      const part = parts.get(topic);
      if (part !== undefined) await onRecovery(part);
      yield* log.read(topic, options);
    },
    async takeOver(id) {
      await onRecovery('take-over');
      return log.takeOver(id);
    },
  });
}

function watchedStore(store: BlobStore, onRecovery: OnRecovery): BlobStore {
  return overlay(store, {
    async *get(ref) {
      await onRecovery('blobs');
      yield* store.get(ref);
    },
  });
}
