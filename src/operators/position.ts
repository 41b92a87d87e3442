/** A sample's identity: (topic, partition, offset, index in the record). */
export interface SampleId {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly index: number;
}

/** A partition of one of the input topics. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
}

export interface PartitionOffset extends Place {
  readonly offset: number;
}

/** The record of a partition that was read last. What lies there now tells whether it is still the same topic. */
export interface SeenRecord extends PartitionOffset {
  /** CRC-32 of its key and value (src/operators/seen.ts). */
  readonly checksum: number;
}

export interface PartitionBounds {
  readonly topic: string;
  readonly partition: number;
  /** The first offset of an epoch. */
  readonly begin: number;
  /** One past its last. */
  readonly end: number;
}

/** Consecutive records of one partition inside a shuffle window, in the order they were read. */
export interface RecordRun {
  readonly topic: string;
  readonly partition: number;
  readonly offsets: readonly number[];
}

/** What made the latents of a run: one model for all of them. */
export interface LatentsEncoder {
  /** Its digest (src/onnx/onnx-digest.ts); null where the records name none. */
  readonly sha256: string | null;
  /** The digest of what turns them back into images; null where it is not known. */
  readonly decoder: string | null;
}

/** What was drawn from the archive so far (src/operators/mix.ts). */
export interface ArchivePosition {
  /** Archive windows opened since the run began. They count from 0 and the number keys the draw: an open one has number windows - 1. */
  readonly windows: number;
  /** The one that is partly consumed: what it was drawn from, the samples that this gave, and those emitted, at least 1. */
  readonly open: {
    readonly consumed: number;
    readonly size: number;
    readonly ranges: readonly PartitionBounds[];
  } | null;
}

/**
 * Where the input goes on. The snapshot means: resumes right after the last sample of the batch that carries it.
 * While a shuffle window is partly consumed, `window` names its records in reading order: a resumed stream reads
 * exactly these first, permutes them the same way, skips `consumed` samples, and goes on at `next`.
 */
export interface StreamPosition {
  /** Passes over the topics that are complete (followed topics stay in epoch 0). */
  readonly epoch: number;
  /** Samples emitted since the run began, those out of the archive among them; the ordinal of the next one. */
  readonly samples: number;
  /** Shuffle windows opened since the run began. Windows count from 0 and the number keys the permutation: an open one has number windows - 1. */
  readonly windows: number;
  /** Per partition the first offset not yet read into a window, sorted by (topic, partition). */
  readonly next: readonly PartitionOffset[];
  /** Index into `next` of the partition whose turn it is (bounded reads go round robin over all topics). */
  readonly turn: number;
  /** Per partition of which something was read, the last of it; sorted as `next`. Empty in positions of version 0.1. */
  readonly seen: readonly SeenRecord[];
  /** What one epoch reads, fixed when the run begins; null when the topics are followed. */
  readonly bounds: readonly PartitionBounds[] | null;
  readonly window: {
    /** Samples of the window already emitted, at least 1. */
    readonly consumed: number;
    readonly records: readonly RecordRun[];
  } | null;
  /** Of the latents read so far; null before any. */
  readonly encoder: LatentsEncoder | null;
  /** Null in a run that never mixed. */
  readonly archive: ArchivePosition | null;
}

/** Of a run that has read nothing yet, of no topic. */
export const NOWHERE: StreamPosition = {
  epoch: 0,
  samples: 0,
  windows: 0,
  next: [],
  turn: 0,
  seen: [],
  bounds: null,
  window: null,
  encoder: null,
  archive: null,
};

/** Order of partitions everywhere: by topic (UTF-16 code units), then by number. */
export function comparePlaces(a: Place, b: Place): number {
  if (a.topic === b.topic) return a.partition - b.partition;
  return a.topic < b.topic ? -1 : 1;
}

export const isSamePlace = (a: Place, b: Place): boolean => a.partition === b.partition && a.topic === b.topic;

/** By topic, in the order in which each comes first. */
export function byTopic<T extends Place>(places: readonly T[]): Map<string, T[]> {
  const grouped = new Map<string, T[]>();
  for (const place of places) {
    const known = grouped.get(place.topic);
    if (known === undefined) grouped.set(place.topic, [place]);
    else known.push(place);
  }
  return grouped;
}
