/** A sample's identity: (topic, partition, offset, index in the record). */
export interface SampleId {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly index: number;
}

export interface PartitionOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
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

/**
 * Where the input goes on. The snapshot means: resumes right after the last sample of the batch that carries it.
 * While a shuffle window is partly consumed, `window` names its records in reading order: a resumed stream reads
 * exactly these first, permutes them the same way, skips `consumed` samples, and goes on at `next`.
 */
export interface StreamPosition {
  /** Passes over the topic that are complete (a followed topic stays in epoch 0). */
  readonly epoch: number;
  /** Samples emitted since the run began; the ordinal of the next one. */
  readonly samples: number;
  /** Shuffle windows opened since the run began. Windows count from 0 and the number keys the permutation: an open one has number windows - 1. */
  readonly windows: number;
  /** Per partition the first offset not yet read into a window, sorted by (topic, partition). */
  readonly next: readonly PartitionOffset[];
  /** Index into `next` of the partition whose turn it is (bounded reads go round robin). */
  readonly turn: number;
  /** What one epoch reads, fixed when the run begins; null when the topic is followed. */
  readonly bounds: readonly PartitionBounds[] | null;
  readonly window: {
    /** Samples of the window already emitted, at least 1. */
    readonly consumed: number;
    readonly records: readonly RecordRun[];
  } | null;
}
