import type { ImageBatchReader } from '../codec/image-batch-reader.ts';
import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import type { Batch } from '../operators/batch.ts';
import { openBatches, type StreamStats } from '../operators/batches.ts';
import type { StreamPosition } from '../operators/position.ts';
import type { Rejection } from '../operators/sample.ts';
import { type Pipeline, topicsOf } from './pipeline.ts';
import type { TrainObserver } from './trainer.ts';

/** Records over which the share of bad ones is judged. */
const BAD_RECORDS_OVER = 1_000;
/** Milliseconds between two looks at how far the topic is ahead. */
const LAG_EVERY = 5_000;

/** The batches of a run, and the bad records among them until a commit holds those. */
export interface Input {
  /** The next batch; null when the topic has ended or the signal aborts. */
  next(signal: AbortSignal): Promise<Batch | null>;
  /** What could not be used of the records read into windows up to `position`: a commit there must hold it. */
  rejectionsBefore(position: StreamPosition): Rejection[];
  /** Takes back a batch that nobody looks at any more. */
  reuse(batch: Batch): void;
  /** Asked before a commit. @throws RepulsorError STATE_MISSING when a topic was deleted, or made anew, since the start */
  demandSameTopics(): Promise<void>;
  /** Forgets it: a commit at `position` holds it. */
  committed(position: StreamPosition): void;
  /**
   * Where the read stands when `next` has found the topic's end: past all of it. Samples left over, too few for a batch,
   * are given up. @throws RepulsorError TOPIC_MISSING when not one batch came of the whole topic
   */
  ended(position: StreamPosition | null): StreamPosition;
  close(): Promise<void>;
}

/** Opens the pipeline's source and operators at `position`; null begins anew. */
export function openInput(
  log: Log,
  pipeline: Pipeline,
  position: StreamPosition | null,
  observer: TrainObserver,
  read: ImageBatchReader,
): Input {
  const { source, operators, model } = pipeline;
  const epochs = source.follow ? null : (source.epochs ?? Number.POSITIVE_INFINITY);
  let rejections: Rejection[] = [];
  let before = { used: 0, tombstone: 0, rejected: 0 };
  let standing = position;
  /** Latest event time of a partition's samples in the last batch that had any of it. */
  const eventTimes = new Map<string, number>();
  let closed = false;

  const batches = openBatches(log, {
    topics: topicsOf(source),
    position,
    epochs,
    from: source.from,
    seed: pipeline.seed,
    shape: model.input,
    classes: model.classes,
    window: operators.shuffle,
    mix: operators.mix,
    onArchiveLost: () =>
      observer.onWarning?.(
        'the archive window that the run had begun is not to be had again as it was: another one is drawn from what is there',
      ),
    flip: operators.flip,
    latentScale: operators.latentScale,
    size: operators.batch,
    depth: operators.prefetch,
    read,
    badRecords: { share: operators.badRecords, over: BAD_RECORDS_OVER },
    deadLetters: (found) => {
      // Later epochs meet the same records again: one letter each is enough.
      rejections.push(...found.filter(({ epoch }) => epoch === 0));
      for (const { reason } of found) observer.onDeadLetter?.(reason);
    },
  });

  const tellRecords = () => {
    const { records } = batches.stats;
    observer.onRecords?.('decoded', records.used - before.used);
    observer.onRecords?.('skipped', records.tombstone - before.tombstone);
    observer.onRecords?.('dead_letter', records.rejected - before.rejected);
    before = { ...records };
  };
  const tellLag = async () => {
    for (const { topic, partition, offset } of standing?.next ?? []) {
      const { end } = await log.offsets(topic, partition);
      const behind = Math.max(0, end - offset);
      const eventTime = eventTimes.get(`${topic}/${partition}`);
      // Event times are the writers': a clock ahead of ours must not make a lag negative.
      const age = eventTime === undefined ? null : Math.max(0, Date.now() - eventTime) / 1000;
      const seconds = behind === 0 ? 0 : age;
      observer.onLag?.(topic, partition, behind, seconds);
    }
  };
  const timer = setInterval(() => {
    tellLag().catch((error: Error) => {
      if (!closed) observer.onWarning?.(`the lag could not be read: ${error.message}`);
    });
  }, LAG_EVERY);
  timer.unref();

  return {
    async next(signal) {
      const batch = await untilAborted(batches.next(), signal);
      tellRecords();
      if (batch === null) return null;
      standing = batch.position;
      for (const [place, time] of latestEventTimes(batch)) eventTimes.set(place, time);
      return batch;
    },
    rejectionsBefore: (at) => rejections.filter((rejection) => isBefore(rejection, at)),
    committed: (at) => {
      rejections = rejections.filter((rejection) => !isBefore(rejection, at));
    },
    ended(at) {
      if (at === null || at.samples === 0) throw tooFew(pipeline, batches.stats);
      const { bounds } = at;
      if (bounds === null) return at;
      const next = bounds.map(({ topic, partition, end }) => ({ topic, partition, offset: end }));
      return { ...at, epoch: epochs ?? at.epoch, next, turn: 0, window: null };
    },
    demandSameTopics: () => batches.demandSameTopics(),
    reuse: (batch) => batches.reuse(batch),
    async close() {
      closed = true;
      clearInterval(timer);
      await batches.close();
    },
  };
}

/** By partition the latest event time of what is new in the batch: the samples of a window come in any order. */
function latestEventTimes({ ids, archived, eventTimes }: Batch): Map<string, number> {
  const latest = new Map<string, number>();
  const again = new Set(archived);
  for (const [i, { topic, partition }] of ids.entries()) {
    if (again.has(i)) continue;
    const place = `${topic}/${partition}`;
    latest.set(place, Math.max(latest.get(place) ?? Number.NEGATIVE_INFINITY, eventTimes[i]!));
  }
  return latest;
}

/** Read into a window at or before the position: a run resumed there does not judge the record again. */
function isBefore({ epoch, topic, partition, offset }: Rejection, position: StreamPosition): boolean {
  if (epoch < position.epoch) return true;
  const next = position.next.find((entry) => entry.topic === topic && entry.partition === partition);
  return next !== undefined && offset < next.offset;
}

function tooFew({ source, operators }: Pipeline, { leftover, records }: StreamStats): RepulsorError {
  const bad = records.rejected === 0 ? '' : `; ${records.rejected} records could not be used`;
  const topics = topicsOf(source);
  const gave = topics.length === 1 ? `the topic ${topics[0]} gave` : `the topics ${topics.join(', ')} gave`;
  return new RepulsorError(
    'TOPIC_MISSING',
    `${gave} ${leftover} samples in all, too few for one batch of ${operators.batch}${bad}`,
    { hint: 'write more images (repulsor ingest), or lower operators.batch' },
  );
}

/** The value, or null as soon as the signal aborts: a followed topic may stay silent for ever. */
async function untilAborted<T>(value: Promise<T>, signal: AbortSignal): Promise<T | null> {
  if (signal.aborted) return null;
  let onAbort = () => {};
  const aborted = new Promise<null>((resolve) => {
    onAbort = () => resolve(null);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([value, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
