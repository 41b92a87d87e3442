import { encode } from '../codec/single-object.ts';
import type { Log } from '../log/log.ts';
import type { Batch } from '../operators/batch.ts';
import { openBatches } from '../operators/batches.ts';
import { asDeadLetter } from '../operators/dead-letter.ts';
import type { StreamPosition } from '../operators/position.ts';
import type { Rejection } from '../operators/sample.ts';
import type { Pipeline } from './pipeline.ts';
import type { TrainObserver } from './trainer.ts';

/** Records over which the share of bad ones is judged. */
const BAD_RECORDS_OVER = 1_000;
/** Milliseconds between two looks at how far the topic is ahead. */
const LAG_EVERY = 5_000;

/** The batches of a run, and the bad records among them until a commit holds those. */
export interface Input {
  /** The next batch; null when the topic has ended or the signal aborts. */
  next(signal: AbortSignal): Promise<Batch | null>;
  /** Encoded dead letters of records read into windows up to `position`: what a commit there must hold. */
  deadLettersBefore(position: StreamPosition | null): Uint8Array[];
  /** Bytes of all dead letters held. */
  readonly deadLetterBytes: number;
  /** Forgets them: a commit at `position` holds them. */
  committed(position: StreamPosition): void;
  close(): Promise<void>;
}

/** Opens the pipeline's source and operators at `position`; null begins anew. */
export function openInput(
  log: Log,
  pipeline: Pipeline,
  position: StreamPosition | null,
  observer: TrainObserver,
): Input {
  const { source, operators, model } = pipeline;
  let letters: Rejection[] = [];
  let before = { used: 0, tombstone: 0, rejected: 0 };
  let standing = position;
  let eventTime: number | null = null;

  const batches = openBatches(log, {
    topic: source.topic,
    position,
    epochs: source.follow ? null : (source.epochs ?? Number.POSITIVE_INFINITY),
    from: source.from,
    seed: pipeline.seed,
    shape: model.input,
    classes: model.classes,
    window: operators.shuffle,
    flip: operators.flip,
    latentScale: operators.latentScale,
    size: operators.batch,
    depth: operators.prefetch,
    badRecords: { share: operators.badRecords, over: BAD_RECORDS_OVER },
    deadLetters: (rejections) => {
      // Later epochs meet the same records again: one letter each is enough.
      letters.push(...rejections.filter((rejection) => rejection.epoch === 0));
      for (const { reason } of rejections) observer.onDeadLetter?.(reason);
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
      const seconds = behind === 0 ? 0 : eventTime === null ? null : (Date.now() - eventTime) / 1000;
      observer.onLag?.(topic, partition, behind, seconds);
    }
  };
  const timer = setInterval(() => {
    tellLag().catch((error: Error) => observer.onWarning?.(`the lag could not be read: ${error.message}`));
  }, LAG_EVERY);
  timer.unref();

  return {
    async next(signal) {
      const batch = await untilAborted(batches.next(), signal);
      tellRecords();
      if (batch === null) return null;
      standing = batch.position;
      eventTime = batch.eventTimes[batch.size - 1];
      return batch;
    },
    deadLettersBefore: (at) =>
      letters
        .filter((letter) => isBefore(letter, at))
        .map((letter) => encode('dead-letter', asDeadLetter(letter, Date.now()))),
    get deadLetterBytes() {
      return letters.reduce((sum, { bytes }) => sum + bytes.length, 0);
    },
    committed: (at) => {
      letters = letters.filter((letter) => !isBefore(letter, at));
    },
    async close() {
      clearInterval(timer);
      await batches.close();
    },
  };
}

/** Read into a window at or before the position: a run resumed there does not judge the record again. */
function isBefore(letter: Rejection, position: StreamPosition | null): boolean {
  if (position === null) return false;
  if (letter.epoch < position.epoch) return true;
  const next = position.next.find(({ topic, partition }) => topic === letter.topic && partition === letter.partition);
  return next !== undefined && letter.offset < next.offset;
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
