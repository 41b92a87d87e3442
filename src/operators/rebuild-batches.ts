import type { ImageBatchReader } from '../codec/image-batch-reader.ts';
import { hasCode } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { flips } from './augment.ts';
import type { Batch } from './batch.ts';
import { BatchImages } from './batch-images.ts';
import { samplesOf } from './decode.ts';
import type { PlaceSettings } from './place.ts';
import type { SampleId } from './position.ts';

/** Which samples a step took, as its journal entry says. */
export interface BatchIdentity {
  readonly samples: readonly SampleId[];
  /** Of the first sample: how many the run emitted before. Keys the flips and draws. */
  readonly ordinal: number;
}

export interface RebuildSettings extends PlaceSettings {
  /** Labels are 0 to classes - 1; `classes` itself is the null class. */
  readonly classes: number;
  readonly flip: boolean;
  /** As the run read its records. Default: records that need no schema registry. */
  readonly read?: ImageBatchReader;
  /** Bytes of images held at most, half of them ahead of the reader; a batch or two are held in any case. Default 128 MiB. */
  readonly maxBytes?: number;
}

/** A batch as it was trained, or why it cannot be made again. */
export interface Rebuilt<T> {
  readonly of: T;
  readonly batch: Pick<Batch, 'images' | 'labels'> | null;
  /** The first sample that is not to be had; null when all are. */
  readonly missing: string | null;
}

/** Batches of the first piece: what goes wrong at once is told at once. The next ones are each four times as large. */
const FIRST_PIECE = 16;
/** Offsets that nobody wants are read through where they are so few: another read would take longer. */
const LARGEST_GAP = 32;
const LOG_BYTES = 8 * 1024 * 1024;

/**
 * The batches with these identities, in their order, as the stream of the run gave them: the same decoding, scaling and
 * flips. Records are read by partition, in ranges, for many batches at a time, and decoded once for all of these; the
 * next piece is read while the steps of this one run.
 * @throws what the log throws, STATE_DAMAGED among it
 */
export async function* rebuildBatches<T extends BatchIdentity>(
  log: Log,
  identities: AsyncIterable<T>,
  settings: RebuildSettings,
): AsyncGenerator<Rebuilt<T>> {
  const { shape, maxBytes = 128 * 2 ** 20 } = settings;
  const imageBytes = shape[0] * shape[1] * shape[2] * 4;
  const source = identities[Symbol.asyncIterator]();
  const stop = new AbortController();
  const flipped = flips(settings);
  let wantedImages = 0;
  let sourceFailed: { readonly error: unknown } | null = null;
  let size = FIRST_PIECE;

  const take = async (): Promise<T[]> => {
    const piece: T[] = [];
    if (sourceFailed !== null) throw sourceFailed.error;
    try {
      while (
        piece.length < size &&
        (piece.length === 0 || (piece.length + 1) * wantedImages * imageBytes <= maxBytes / 2)
      ) {
        const next = await source.next();
        if (next.done) break;
        wantedImages = Math.max(wantedImages, next.value.samples.length);
        piece.push(next.value);
      }
    } catch (error) {
      // What came before is still good: the error has its turn after it.
      if (piece.length === 0) throw error;
      sourceFailed = { error };
    }
    size *= 4;
    return piece;
  };
  const build = async (): Promise<Rebuilt<T>[]> => rebuild(log, await take(), settings, flipped, stop.signal);

  let ahead = build();
  try {
    for (;;) {
      const ready = await ahead;
      if (ready.length === 0) return;
      ahead = build();
      ahead.catch(() => undefined); // told when its turn comes
      while (ready.length > 0) yield ready.shift()!;
    }
  } finally {
    stop.abort();
    await ahead.catch(() => undefined);
    await source.return?.();
  }
}

/** Where one image of a record goes. */
interface Wanted {
  readonly index: number;
  readonly into: BatchImages;
  readonly labels: Int32Array;
  readonly at: number;
  readonly ordinal: number;
  readonly flipped: boolean;
  found: boolean;
  why: string | null;
}

/** Partition -> offset -> what is wanted of the record there. */
type WantedRecords = Map<number, Map<number, Wanted[]>>;

async function rebuild<T extends BatchIdentity>(
  log: Log,
  piece: readonly T[],
  settings: RebuildSettings,
  flipped: (ordinal: number) => boolean,
  signal: AbortSignal,
): Promise<Rebuilt<T>[]> {
  const topics = new Map<string, WantedRecords>();
  const batches = piece.map((of) => {
    const into = new BatchImages(of.samples.length, settings);
    const labels = new Int32Array(of.samples.length);
    const wanted = of.samples.map(({ topic, partition, offset, index }, at) => {
      const ordinal = of.ordinal + at;
      const flip = flipped(ordinal);
      const one: Wanted = { index, into, labels, at, ordinal, flipped: flip, found: false, why: null };
      const records = getOrMake(topics, topic, (): WantedRecords => new Map());
      const offsets = getOrMake(records, partition, () => new Map<number, Wanted[]>());
      getOrMake(offsets, offset, (): Wanted[] => []).push(one);
      return one;
    });
    return { of, into, labels, wanted };
  });
  for (const [topic, records] of topics) await readTopic(log, topic, records, settings, signal);
  return batches.map(({ of, into, labels, wanted }) => {
    const lost = wanted.findIndex(({ found }) => !found);
    if (lost < 0) return { of, batch: { images: into.images, labels }, missing: null };
    const { topic, partition, offset, index } = of.samples[lost]!;
    const why = wanted[lost]!.why ?? 'the record is not there any more';
    return { of, batch: null, missing: `${topic}/${partition} offset ${offset} image ${index}: ${why}` };
  });
}

async function readTopic(
  log: Log,
  topic: string,
  records: WantedRecords,
  settings: RebuildSettings,
  signal: AbortSignal,
): Promise<void> {
  const ranges = await rangesOf(log, topic, records);
  // The first range of every partition in one read, then the second of each, and so on.
  for (let round = 0; ranges.some((of) => of.ranges.length > round); round++) {
    const now = ranges.filter((of) => of.ranges.length > round);
    const from = new Map(now.map(({ partition, ranges }) => [partition, ranges[round]!.begin]));
    const to = new Map(now.map(({ partition, ranges }) => [partition, ranges[round]!.end]));
    for await (const record of log.read(topic, { from, to, maxBufferedBytes: LOG_BYTES, signal })) {
      const wanted = records.get(record.partition)?.get(record.offset);
      if (wanted === undefined) continue;
      const { samples, rejections } = await samplesOf(record, 0, settings);
      const byIndex = new Map(samples.map((sample) => [sample.id.index, sample]));
      for (const one of wanted) {
        const sample = byIndex.get(one.index);
        if (sample === undefined) {
          const rejection = rejections.find(({ index }) => index === null || index === one.index);
          one.why =
            rejection?.message ?? (record.value === null ? 'it is a tombstone now' : 'the record has no such image');
          continue;
        }
        const { ordinal, flipped } = one;
        one.into.put(one.at, { pixels: sample.pixels, flipped, ordinal });
        one.labels[one.at] = sample.label ?? settings.classes;
        one.found = true;
      }
    }
  }
}

interface PartitionRanges {
  readonly partition: number;
  readonly ranges: readonly { readonly begin: number; readonly end: number }[];
}

/** What to read: the offsets that are still there, joined where little lies between them. */
async function rangesOf(log: Log, topic: string, records: WantedRecords): Promise<PartitionRanges[]> {
  let there: readonly number[];
  try {
    there = await log.partitions(topic);
  } catch (error) {
    if (!hasCode(error, 'TOPIC_MISSING')) throw error;
    for (const one of everyOne(records)) one.why = `the topic ${topic} is not in ${log.url}`;
    return [];
  }
  const found: PartitionRanges[] = [];
  for (const [partition, offsets] of records) {
    if (!there.includes(partition)) continue;
    const { earliest, end } = await log.offsets(topic, partition);
    const ranges: { begin: number; end: number }[] = [];
    for (const offset of [...offsets.keys()].sort((a, b) => a - b)) {
      if (offset < earliest || offset >= end) continue;
      const last = ranges.at(-1);
      if (last !== undefined && offset - last.end <= LARGEST_GAP) last.end = offset + 1;
      else ranges.push({ begin: offset, end: offset + 1 });
    }
    if (ranges.length > 0) found.push({ partition, ranges });
  }
  return found;
}

function* everyOne(records: WantedRecords): Generator<Wanted> {
  for (const offsets of records.values()) for (const wanted of offsets.values()) yield* wanted;
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
