import type { BadReason } from '../codec/bad-record.ts';
import type { ImageBatchReader } from '../codec/image-batch-reader.ts';
import type { Shape } from '../codec/images.ts';
import type { ImageLimits } from '../codec/limits.ts';
import type { Log } from '../log/log.ts';
import { ReadMemory } from '../log/read-memory.ts';
import { openArchive } from './archive.ts';
import { augment } from './augment.ts';
import { type Batch, batch } from './batch.ts';
import { type BadRecordLimit, deadLetter } from './dead-letter.ts';
import { decode, type RecordOutcome } from './decode.ts';
import { fromLog } from './from-log.ts';
import { Gate } from './gate.ts';
import { mix } from './mix.ts';
import type { StreamPosition } from './position.ts';
import { prefetch } from './prefetch.ts';
import type { Rejection } from './sample.ts';
import { shuffle } from './shuffle.ts';
import { topicIdentity } from './topic-identity.ts';

export interface BatchesSettings {
  /** Sorted, each once. */
  readonly topics: readonly string[];
  /** Where to go on; null, the default, begins a new run. */
  readonly position?: StreamPosition | null;
  /** Passes over the topics (`Infinity` for ever); null follows them. */
  readonly epochs: number | null;
  /** Where a new run that follows its topics begins. */
  readonly from?: 'earliest' | 'latest';
  /** Keys shuffling, flips, and what is drawn of latents' distributions. */
  readonly seed: number;
  /** Height, width, channels that the model takes. */
  readonly shape: Shape;
  /** Labels are 0 to classes - 1; `classes` itself is the null class. */
  readonly classes: number;
  /** Samples in a shuffle window; 1 keeps their order. */
  readonly window: number;
  /** Samples that are read again from the archive, and put between the new ones; null, the default: none. */
  readonly mix?: ArchiveMix | null;
  /** Told when the archive window that was open when the run stopped cannot be had again (retention): another one is drawn. */
  readonly onArchiveLost?: () => void;
  /** Mirror every other image, by chance. Default false. */
  readonly flip?: boolean;
  /** What latents are multiplied by. Default 1. */
  readonly latentScale?: number;
  /** Samples in a batch. */
  readonly size: number;
  /** Batches ready ahead of the trainer. */
  readonly depth: number;
  /** Past it the stream fails. Default: none. */
  readonly badRecords?: BadRecordLimit;
  /** Keeps what cannot be used; the stream waits for it. */
  readonly deadLetters?: (rejections: readonly Rejection[]) => void | Promise<void>;
  readonly limits?: ImageLimits;
  /** Bytes of a record's value to its content. Default: of records that need no schema registry. @throws BadRecord */
  readonly read?: ImageBatchReader;
  /** Bytes that the log may hold ahead. */
  readonly maxBufferedBytes?: number;
}

export interface ArchiveMix {
  /** Another topic, all of it; null: what the run has done with of its own topics. */
  readonly topic: string | null;
  /** Of all samples, how many come from there: in [0, 1). */
  readonly share: number;
  /** Samples drawn at a time, about; held in memory. */
  readonly window: number;
}

/** Counted since the stream was opened. */
export interface StreamStats {
  readonly records: Readonly<Record<RecordOutcome, number>>;
  /** Records and images set aside, by reason. */
  readonly rejections: Readonly<Partial<Record<BadReason, number>>>;
  /** Samples decoded, those out of the archive not among them. */
  readonly samples: number;
  /** Batches ready for the trainer now, and batches it took. */
  readonly ready: number;
  readonly taken: number;
  /** Samples left over at the end of a bounded read, too few for a batch; 0 until then. */
  readonly leftover: number;
  /** Latest event time decoded, in milliseconds since the epoch; null before the first sample. */
  readonly eventTime: number | null;
}

/** To be iterated, too, which closes it in the end. */
export interface Batches extends AsyncIterable<Batch> {
  /** The next batch; null at the end of a bounded read. Rejects with the RepulsorError that ended the stream. */
  next(): Promise<Batch | null>;
  /**
   * Asked before what was trained is committed: every record read so far came from the topics that the stream began with.
   * @throws RepulsorError STATE_MISSING when one was deleted, or made anew, and what the log throws
   */
  demandSameTopics(): Promise<void>;
  /**
   * Takes back a batch that nobody looks at any more: another one will have its images' memory. Who keeps batches need not call
   * it; a stream of many spares the allocator and the garbage collector a good part of their work.
   */
  reuse(batch: Batch): void;
  /** Ends the read; resolves when the log is let go. */
  close(): Promise<void>;
  readonly stats: StreamStats;
}

/** Images kept to be filled anew: one is filled at a time, and the trainer has two at most. */
const MOST_USED = 3;

/**
 * The input of a training run: the records of its topics as batches, in an order that seed, topics and settings decide.
 * Reading begins at once. Held in memory: `depth` batches, two shuffle windows, an archive window, and the log's buffer.
 */
export function openBatches(log: Log, settings: BatchesSettings): Batches {
  const { topics, position = null, epochs, from, seed, shape, classes, limits, read, maxBufferedBytes } = settings;
  const { mix: mixed = null, flip = false, latentScale = 1 } = settings;
  const records: Record<RecordOutcome, number> = { used: 0, rejected: 0, tombstone: 0 };
  const rejections: Partial<Record<BadReason, number>> = {};
  let samples = 0;
  let taken = 0;
  let leftover = 0;
  let eventTime: number | null = null;
  let stopped = () => {};
  const isStopped = new Promise<void>((resolve) => {
    stopped = resolve;
  });

  const archiveTopic = mixed?.topic ?? null;
  const identity = topicIdentity(log, archiveTopic === null ? topics : [...topics, archiveTopic]);
  const archive =
    mixed === null ? null : openArchive(log, { ...mixed, seed, shape, classes, latentScale, limits, read });
  /** Batches that the trainer has, and images that it has given back. */
  const lent = new WeakSet<Batch>();
  const used: Uint8Array[] = [];
  const intake = new Gate();
  const room = new Gate();
  const memory = new ReadMemory();
  const turn = archive === null ? room : new Gate();
  const stream = fromLog(log, {
    topics,
    position,
    epochs,
    from,
    gate: intake,
    identity,
    maxBufferedBytes,
    memory,
    onStopped: stopped,
  }).pipe(
    decode({
      shape,
      classes,
      latentScale,
      limits,
      read,
      intake,
      onRecord(outcome, decoded) {
        records[outcome]++;
        samples += decoded.samples.length;
        for (const { reason } of decoded.rejections) rejections[reason] = (rejections[reason] ?? 0) + 1;
        for (const sample of decoded.samples) eventTime = Math.max(eventTime ?? sample.eventTime, sample.eventTime);
      },
    }),
    deadLetter({ sink: settings.deadLetters, limit: settings.badRecords, intake }),
    shuffle({ window: settings.window, seed, position, room: turn, memory, intake }),
    mix({ share: mixed?.share ?? 0, archive, position, room, turn, onLost: settings.onArchiveLost }),
    augment({ flip, seed }),
    batch({
      size: settings.size,
      shape,
      used: () => used.pop(),
      nullClass: classes,
      latentScale,
      seed,
      onLeftover(count) {
        leftover = count;
      },
    }),
  );
  const ahead = prefetch(stream, settings.depth, room);
  const next = async (): Promise<Batch | null> => {
    const taking = await ahead.next();
    if (taking === null) return null;
    taken++;
    lent.add(taking);
    return taking;
  };
  const close = async (): Promise<void> => {
    ahead.close();
    await isStopped;
    await archive?.close();
  };
  return {
    next,
    demandSameTopics: () => identity.demandSame(),
    reuse(batch) {
      // Not twice: it may be another batch's by then. Latents' floats are made anew.
      if (lent.delete(batch) && batch.images instanceof Uint8Array && used.length < MOST_USED) used.push(batch.images);
    },
    close,
    async *[Symbol.asyncIterator]() {
      try {
        for (let taking = await next(); taking !== null; taking = await next()) yield taking;
      } finally {
        await close();
      }
    },
    get stats() {
      return {
        records: { ...records },
        rejections: { ...rejections },
        samples,
        ready: ahead.ready,
        taken,
        leftover,
        eventTime,
      };
    },
  };
}
