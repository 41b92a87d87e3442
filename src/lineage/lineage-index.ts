import { join } from 'node:path';
import { decodeCommit } from '../checkpoint/commit-history.ts';
import { readRanges } from '../checkpoint/read-journal.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import type { Commit, StepJournal } from '../codec/records.ts';
import { RepulsorError } from '../errors.ts';
import { removeIfThere } from '../files/durable-file.ts';
import { readRange } from '../log/read-range.ts';
import type { SampleId } from '../operators/position.ts';
import type { StreamName } from './segment-format.ts';
import { IndexDamaged, type SegmentReader } from './segment-reader.ts';
import { closeAll, type IndexSettings, updatedSegments } from './update-index.ts';

/** A committed step of the lineage, and the commit that holds it. */
export interface TrainedStep {
  readonly entry: StepJournal;
  readonly commit: Commit;
}

/** A record, or one image of it. */
export type TrainedRecord = Omit<SampleId, 'index'> & { readonly index?: number };

/** Which records trained which steps, as far as they are committed in the run's lineage. */
export interface LineageIndex {
  readonly lastStep: number;
  /** The partitions trained on. */
  readonly streams: readonly StreamName[];
  /** @throws RepulsorError USAGE when there is no such step, STATE_DAMAGED, STATE_TRUNCATED when its journal is gone */
  step(step: number): Promise<TrainedStep>;
  /** The steps that the record trained, ascending, each with the images of it that it took. */
  stepsOf(record: TrainedRecord): Promise<{ readonly step: number; readonly indices: number[] }[]>;
  close(): Promise<void>;
}

/**
 * Opens the run's index in `folder`, built or brought up to date first. It is made of the journal and can be deleted at any
 * time. @throws RepulsorError as `updatedSegments`
 */
export async function openLineageIndex(settings: IndexSettings): Promise<LineageIndex> {
  let segments = await updatedSegments(settings);
  /** Damage shows when the damaged part is read: then all of it is built anew, once. */
  const answer = async <T>(work: (segments: readonly SegmentReader[]) => Promise<T>): Promise<T> => {
    try {
      return await work(segments);
    } catch (error) {
      if (!(error instanceof IndexDamaged)) throw error;
      await closeAll(segments);
      await removeIfThere(join(settings.folder, 'index.json'));
      segments = await updatedSegments(settings);
      return work(segments);
    }
  };
  return {
    get lastStep() {
      return segments.at(-1)?.footer.lastStep ?? 0;
    },
    get streams() {
      return segments.flatMap((segment) => segment.streams);
    },
    step: (step) => answer((all) => stepOf(settings, all, step)),
    stepsOf: (record) =>
      answer(async (all) => {
        const steps: { step: number; indices: number[] }[] = [];
        for (const segment of all) {
          for (const { step, index } of await segment.postingsOf(record, record.offset)) {
            if (record.index !== undefined && record.index !== index) continue;
            if (steps.at(-1)?.step === step) steps.at(-1)!.indices.push(index);
            else steps.push({ step, indices: [index] });
          }
        }
        return steps;
      }),
    close: () => closeAll(segments),
  };
}

async function stepOf({ log, run }: IndexSettings, all: readonly SegmentReader[], step: number): Promise<TrainedStep> {
  const topics = runTopics(run);
  const segment = all.find(({ footer }) => footer.afterStep < step && step <= footer.lastStep);
  if (segment === undefined) {
    const last = all.at(-1)?.footer.lastStep ?? 0;
    throw new RepulsorError('USAGE', `step ${step} is no committed step of the run ${run}`, {
      hint: last === 0 ? 'It has no committed step yet.' : `Its lineage has the steps 1 to ${last}.`,
    });
  }
  const { row, before } = await segment.commitOf(step);
  let found: StepJournal | null = null;
  // The whole commit: only so is the entry checked against what was committed.
  for await (const { entry } of readRanges(log, topics.journal, [row], before)) if (entry?.step === step) found = entry;
  for await (const record of readRange(log, topics.commits, 0, row.offset, row.offset + 1))
    if (found !== null) return { entry: found, commit: decodeCommit(record).commit };
  throw new IndexDamaged(`${segment.path} names a commit at offset ${row.offset} that does not hold step ${step}`);
}
