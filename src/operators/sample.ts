import type { BadReason } from '../codec/bad-record.ts';
import type { Pixels } from '../codec/images.ts';
import type { LogRecord } from '../log/log.ts';
import type {
  ArchivePosition,
  LatentsEncoder,
  PartitionBounds,
  PartitionOffset,
  RecordRun,
  SampleId,
  SeenRecord,
  StreamPosition,
} from './position.ts';

/** How far a read has come: the part of a StreamPosition that concerns the log. Never changed once made. */
export interface Cursor {
  readonly epoch: number;
  /** Sorted by (topic, partition). */
  readonly next: readonly PartitionOffset[];
  readonly turn: number;
  /** Per partition of which something was read, the last of it: itself, or what a position knew of it (seen.ts). */
  readonly last: readonly (LogRecord | SeenRecord)[];
  readonly bounds: readonly PartitionBounds[] | null;
  readonly encoder: LatentsEncoder | null;
}

/** What `fromLog` emits. */
export interface ReadRecord {
  readonly record: LogRecord;
  /** The cursor after this record. */
  readonly cursor: Cursor;
  /** After the last record of an epoch: the cursor at the start of the next. Else null. */
  readonly epochEnd: Cursor | null;
  /** It belongs to the shuffle window that was open when the run stopped: it was read, and its dead letters written, before. */
  readonly replayed: boolean;
  /** The last record of that window: a window ends here, whatever its size. */
  readonly lastReplayed: boolean;
}

/** One usable image. */
export interface Sample {
  readonly id: SampleId;
  readonly pixels: Pixels;
  readonly label: number | null;
  /** Milliseconds since the epoch. */
  readonly eventTime: number;
}

/** A record or image that cannot be used. */
export interface Rejection {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** The pass over the topic in which it was met. */
  readonly epoch: number;
  /** The image in the record; null when the record itself is bad. */
  readonly index: number | null;
  readonly reason: BadReason;
  readonly message: string;
  /** What to do about it. */
  readonly hint: string;
  /** The record's value as it lay in the log, or the image's bytes as they lay in the record. */
  readonly bytes: Uint8Array;
}

/** What `decode` emits: a record with what became of its images. A tombstone has neither samples nor rejections. */
export interface DecodedRecord extends ReadRecord {
  readonly samples: readonly Sample[];
  readonly rejections: readonly Rejection[];
}

/** A shuffle window while it is emitted. */
export interface ShuffleWindow {
  /** Counted from 0 since the run began; keys the permutation. */
  readonly number: number;
  /** Samples in it. */
  readonly size: number;
  readonly records: readonly RecordRun[];
  /** After its last record, and, when that ended an epoch, at the start of the next. */
  readonly cursor: WindowCursor;
  readonly epochEnd: WindowCursor | null;
}

/** A cursor that lasts longer than the records: of those read last it has the checksums. */
export interface WindowCursor extends Omit<Cursor, 'last'> {
  readonly seen: readonly SeenRecord[];
}

/** What `shuffle` emits. */
export interface ShuffledSample extends Sample {
  readonly window: ShuffleWindow;
  /** Samples of the window emitted so far, this one included. */
  readonly consumed: number;
}

/** What `mix` emits. */
export interface MixedSample extends Sample {
  /** Samples emitted before it since the run began. */
  readonly ordinal: number;
  /** Read again from the archive; else new. */
  readonly archived: boolean;
  /** The epoch that it belongs to; of one from the archive, that of the new sample to come. */
  readonly epoch: number;
  readonly standing: Standing;
}

/** Where the run stands right after a sample; of a new one only what `positionOf` makes it of, for of a batch only the last is asked. */
export type Standing = StreamPosition | NewStanding;

interface NewStanding {
  readonly sample: ShuffledSample;
  /** Emitted so far, it included. */
  readonly samples: number;
  readonly archive: ArchivePosition | null;
}

/** What `augment` emits: the flip is carried out by `batch`, while it copies. */
export interface AugmentedSample extends MixedSample {
  readonly flipped: boolean;
}

export function positionOf(standing: Standing): StreamPosition {
  if (!('sample' in standing)) return standing;
  const { sample, samples, archive } = standing;
  const { window, consumed } = sample;
  const over = consumed === window.size;
  return {
    ...(over ? (window.epochEnd ?? window.cursor) : window.cursor),
    samples,
    windows: window.number + 1,
    window: over ? null : { consumed, records: window.records },
    archive,
  };
}
