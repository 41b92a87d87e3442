import { ZERO_DIGEST } from '../checkpoint/digest.ts';
import { samplesOf } from '../checkpoint/journal.ts';
import { readJournal } from '../checkpoint/read-journal.ts';
import { readKeys } from '../checkpoint/read-keys.ts';
import { restore } from '../checkpoint/restore.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import type { BlobStore } from '../checkpoint/store.ts';
import type { ImageBatchReader } from '../codec/image-batch-reader.ts';
import type { Commit, StepJournal } from '../codec/records.ts';
import type { Engine } from '../engine/engine.ts';
import type { Log } from '../log/log.ts';
import { type BatchIdentity, type Rebuilt, rebuildBatches } from '../operators/rebuild-batches.ts';
import { openImageReader } from '../registry/open-image-reader.ts';
import type { StepReport } from '../trainer/report.ts';
import { storedPipeline } from '../trainer/stored-pipeline.ts';
import {
  type Difference,
  deviations,
  differences,
  type MaxDeviation,
  type ReplayedStep,
  type What,
} from './compare.ts';
import { stateDeviations, stateDifferences } from './compare-state.ts';
import { largestDeviation } from './deviation.ts';
import type { ReplayPlan } from './plan.ts';
import { Retraining } from './retraining.ts';

export interface ReplaySettings {
  /** Holds the run's topics and its inputs: the log it was trained from, or a copy with the same offsets. */
  readonly log: Log;
  readonly store: BlobStore;
  readonly run: string;
  readonly plan: ReplayPlan;
  readonly engine: Engine;
  /** Default: asks the schema registry of the pipeline, where it names one. */
  readonly read?: ImageBatchReader;
  /** Null compares bit for bit; a number allows deviations up to it (src/replay/deviation.ts). */
  readonly tolerance: number | null;
  readonly onStep?: (report: StepReport) => void;
}

export interface Divergence {
  readonly step: number;
  /** What differed first: of what differs at this step, that which the rest comes of. */
  readonly what: What;
  readonly message: string;
  /** All that differs at this step. */
  readonly differs: readonly What[];
}

export interface ReplayResult {
  /** All that was compared agrees up to this step. */
  readonly identicalThrough: number;
  readonly diverged: Divergence | null;
  /** Steps made again. */
  readonly steps: number;
  /** Commits whose state was compared with the one that came of their steps. */
  readonly commits: number;
  /** Null when it was compared bit for bit. */
  readonly maxDeviation: MaxDeviation | null;
}

interface Recorded extends BatchIdentity {
  readonly entry: StepJournal;
}

/**
 * Trains the plan's steps again, from the journal alone, and compares each with what the run recorded, and the state with
 * that of each commit. It only reads: no take-over, nothing written, so a trainer at work is not disturbed. Ends at the
 * first step that differs. A record that is gone is a divergence too: what comes after it cannot be made.
 * @throws RepulsorError STATE_MISSING, STATE_DAMAGED, STATE_TRUNCATED when what it needs of the run is not there
 */
export async function replay(settings: ReplaySettings): Promise<ReplayResult> {
  const { log, store, run, plan, engine, tolerance } = settings;
  const { lineage, start, commits, from, to, newest } = plan;
  const max: MaxDeviation | null = tolerance === null ? null : { loss: null, keys: null, weights: null };
  const restored = start === null ? null : await restore({ log, store, run, lineage }, start.index);
  const first = commits[0];
  if (first === undefined) return { identicalThrough: to, diverged: null, steps: 0, commits: 0, maxDeviation: max };

  const pipeline = storedPipeline(first.commit);
  const journal = readJournal(log, runTopics(run).journal, lineage, { index: newest, first: from + 1, last: to });
  const recorded = inOrder(journal, restored?.position.samples ?? 0);
  const { operators, model, seed } = pipeline;
  const { flip, latentScale } = operators;
  const batches = rebuildBatches(log, recorded, {
    shape: model.input,
    classes: model.classes,
    flip,
    latentScale,
    seed,
    read: settings.read ?? openImageReader(pipeline.source.registry),
  });
  const retraining = await Retraining.begin(engine, pipeline, restored);
  let previous = restored?.journalDigest ?? ZERO_DIGEST;
  let step = from;
  let compared = 0;
  const ended = (identicalThrough: number, diverged: Divergence | null): ReplayResult => ({
    identicalThrough,
    diverged,
    steps: step - from,
    commits: compared,
    maxDeviation: max,
  });
  try {
    let agreed = from;
    for (const entry of commits) {
      await retraining.use(storedPipeline(entry.commit));
      const keys = tolerance === null ? null : readKeys(log, runTopics(run).negatives, entry.commit);
      try {
        while (step < Math.min(entry.commit.step, to)) {
          const asked = performance.now();
          const { of, batch, missing } = (await batches.next()).value as Rebuilt<Recorded>;
          if (batch === null) return ended(step, divergence(step + 1, [{ what: 'records', message: missing ?? '' }]));
          step++;
          const now = await retraining.step(batch, of.entry, (performance.now() - asked) / 1000);
          const found =
            max === null || tolerance === null
              ? await withKeysDeviation(differences(previous, of.entry, now), settings, entry.commit, now, step)
              : deviations(of.entry, now, (await keys?.next())?.value?.keys ?? null, tolerance, max);
          if (found.length > 0) return ended(step - 1, divergence(step, found));
          previous = of.entry.digest;
          settings.onStep?.(now.report);
        }
      } finally {
        await keys?.return(undefined);
      }
      if (entry.commit.step > step) break;
      const state = await retraining.blobs();
      const found =
        max === null || tolerance === null
          ? await stateDifferences(entry.commit, store, state, retraining.queue)
          : await stateDeviations(entry.commit, store, state, tolerance, max);
      if (found === null) continue; // not kept, so there is nothing to compare by value
      compared++;
      if (found.length > 0) return ended(agreed, stateDivergence(step, agreed, found));
      agreed = step;
    }
    return ended(step, null);
  } finally {
    await batches.return(undefined);
    retraining.dispose();
  }
}

/** The stream's ordinals key the flips: each step goes on where the one before ended. */
async function* inOrder(journal: AsyncIterable<StepJournal>, ordinal: number): AsyncGenerator<Recorded> {
  let next = ordinal;
  for await (const entry of journal) {
    const samples = samplesOf(entry);
    yield { entry, samples, ordinal: next };
    next += samples.length;
  }
}

/** How far the keys are off tells another device from another method: the negatives topic has the recorded ones. */
async function withKeysDeviation(
  found: Difference[],
  { log, run }: ReplaySettings,
  commit: Commit,
  { keys }: ReplayedStep,
  step: number,
): Promise<Difference[]> {
  if (keys === null || !found.some(({ what }) => what === 'keys')) return found;
  for await (const recorded of readKeys(log, runTopics(run).negatives, commit)) {
    if (recorded.step !== step) continue;
    const by = largestDeviation(keys, recorded.keys);
    return found.map((one) => (one.what === 'keys' ? { ...one, message: `${one.message}: off by up to ${by}` } : one));
  }
  return found;
}

const ORDER: readonly What[] = ['records', 'batch', 'keys', 'loss', 'queue', 'weights'];

function divergence(step: number, found: readonly Difference[]): Divergence {
  const [first, ...more] = [...found].sort((a, b) => ORDER.indexOf(a.what) - ORDER.indexOf(b.what));
  const also = more.map(({ message }) => `; ${message}`).join('');
  return {
    step,
    what: first!.what,
    message: first!.message + also,
    differs: [first!, ...more].map(({ what }) => what),
  };
}

function stateDivergence(step: number, agreed: number, found: readonly Difference[]): Divergence {
  const all = divergence(step, found);
  const where = `after step ${step}; after step ${agreed} all agreed, and so did batches, keys and losses since`;
  return { ...all, message: `${all.message} ${where}` };
}
