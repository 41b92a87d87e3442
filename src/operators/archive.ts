import type { ImageBatch } from '../codec/records.ts';
import { hasCode } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { permutation } from '../random/philox.ts';
import { archivePlaces, lengthOf, PLACES, type Span } from './archive-places.ts';
import { type SampleSettings, samplesOf } from './decode.ts';
import { neededOffsets } from './needed-offsets.ts';
import { settleEncoder } from './one-encoder.ts';
import type { ArchivePosition, LatentsEncoder, PartitionBounds, StreamPosition } from './position.ts';
import type { Sample } from './sample.ts';
import { sourceRanges } from './source-ranges.ts';
import { deletedError } from './topic-identity.ts';

export interface ArchiveSettings extends SampleSettings {
  /** All that it holds is the archive; null: what the run has done with of its own topics. */
  readonly topic: string | null;
  /** Samples of an archive window, about; held in memory. */
  readonly window: number;
  readonly latentScale: number;
  readonly seed: number;
}

/** Samples drawn from the archive, in the order in which they are emitted. */
export interface ArchiveWindow {
  readonly ranges: readonly PartitionBounds[];
  readonly samples: readonly Sample[];
}

type OpenWindow = NonNullable<ArchivePosition['open']>;

/** Records that were read before, to be read again. */
export interface Archive {
  /** Window `number` of a run that stands at `position`; null when the archive holds no usable image yet. */
  draw(number: number, position: StreamPosition): Promise<ArchiveWindow | null>;
  /** The window that was open when the run stopped; null where retention has removed some of it, or its settings changed. */
  reopen(number: number, open: OpenWindow, encoder: LatentsEncoder | null): Promise<ArchiveWindow | null>;
  /** Resolves when the log is let go; what is drawn meanwhile is void. */
  close(): Promise<void>;
}

/** Places read at once. */
const AT_ONCE = 4;
/** Bytes that a read of one place may hold ahead. */
const PLACE_BYTES = 2 ** 20;
/** Draws begun anew because retention removed records between the look at what is there and the read. */
const MOST_RACES = 5;

/**
 * The archive is what retention has left of a topic: of the run's own ones up to the oldest record that a resume would
 * read again (all of them from the second epoch on), or the whole of another one. What window w holds is a pure function
 * of (seed, w, ranges), and the ranges are part of the position while the window is open: resumed, it is drawn and read
 * again as it was. A window comes from some 32 places spread over the ranges, in equal parts; of a record with more
 * images than its part, some at random are decoded. What cannot be used was set aside when it was new, and is passed over.
 */
export function openArchive(log: Log, settings: ArchiveSettings): Archive {
  const { topic, window: size, seed } = settings;
  const stop = new AbortController();
  const underWay = new Set<Promise<unknown>>();

  /** What may be drawn from now. */
  const rangesNow = async (position: StreamPosition): Promise<PartitionBounds[]> => {
    if (topic !== null) {
      const there = await sourceRanges(log, [topic]);
      return there.map(({ partition, earliest, end }) => ({ topic, partition, begin: earliest, end }));
    }
    const read = position.epoch > 0 && position.bounds !== null ? position.bounds : null;
    const ends = read?.map((place) => ({ ...place, offset: place.end })) ?? neededOffsets(position);
    const begins = await Promise.all(ends.map((place) => log.offsets(place.topic, place.partition)));
    return ends
      .map(({ offset, ...place }, i) => ({
        topic: place.topic,
        partition: place.partition,
        begin: begins[i]!.earliest,
        end: offset,
      }))
      .filter(({ begin, end }) => begin < end);
  };

  /** Up to `wanted` samples of a place. `draw` tells the places of all windows apart. */
  const readPlace = async (
    spans: readonly Span[],
    wanted: number,
    draw: number,
    encoder: LatentsEncoder | null,
  ): Promise<Sample[]> => {
    const samples: Sample[] = [];
    const admit = (batch: ImageBatch): void => void settleEncoder(encoder, batch, settings.latentScale);
    for (const { topic, partition, from, to } of spans) {
      const options = { from: new Map([[partition, from]]), to: new Map([[partition, to]]), signal: stop.signal };
      for await (const record of log.read(topic, { ...options, maxBufferedBytes: PLACE_BYTES })) {
        const room = wanted - samples.length;
        const pick = (images: number) => permutation(seed, 'archive-image', draw, images).slice(0, room).sort();
        samples.push(...(await samplesOf(record, 0, settings, admit, pick)).samples);
        if (samples.length === wanted) return samples;
      }
    }
    return samples;
  };

  const gather = async (
    number: number,
    ranges: readonly PartitionBounds[],
    encoder: LatentsEncoder | null,
  ): Promise<ArchiveWindow> => {
    const count = Math.min(PLACES, size, lengthOf(ranges));
    const places = archivePlaces(seed, number, ranges, count);
    const found: Sample[] = [];
    for (let i = 0; i < count && !stop.signal.aborted; i += AT_ONCE) {
      const reads = places
        .slice(i, i + AT_ONCE)
        .map((spans, j) => readPlace(spans, Math.ceil(size / count), number * PLACES + i + j, encoder));
      const done = await Promise.allSettled(reads);
      for (const one of done) {
        if (one.status === 'rejected') throw one.reason;
        found.push(...one.value);
      }
    }
    const order = permutation(seed, 'archive', number, found.length);
    return { ranges, samples: Array.from(order, (at) => found[at]!) };
  };

  const tracked = async <T>(work: Promise<T>): Promise<T> => {
    underWay.add(work);
    try {
      return await work;
    } catch (error) {
      throw hasCode(error, 'TOPIC_MISSING') ? deletedError(error) : error;
    } finally {
      underWay.delete(work);
    }
  };

  const drawNow = async (number: number, position: StreamPosition): Promise<ArchiveWindow | null> => {
    for (let races = 0; ; races++) {
      const ranges = await rangesNow(position);
      if (lengthOf(ranges) === 0) return null;
      try {
        const window = await gather(number, ranges, position.encoder);
        return window.samples.length === 0 ? null : window;
      } catch (error) {
        if (!hasCode(error, 'STATE_TRUNCATED') || races === MOST_RACES) throw error;
      }
    }
  };

  const reopenNow = async (
    number: number,
    open: OpenWindow,
    encoder: LatentsEncoder | null,
  ): Promise<ArchiveWindow | null> => {
    if (topic !== null && open.ranges.some((range) => range.topic !== topic)) return null;
    try {
      const window = await gather(number, open.ranges, encoder);
      return window.samples.length === open.size ? window : null;
    } catch (error) {
      if (hasCode(error, 'STATE_TRUNCATED')) return null;
      throw error;
    }
  };

  return {
    draw: (number, position) => tracked(drawNow(number, position)),
    reopen: (number, open, encoder) => tracked(reopenNow(number, open, encoder)),
    async close() {
      stop.abort();
      await Promise.allSettled(underWay);
    },
  };
}
