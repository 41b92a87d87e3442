import { Observable, type OperatorFunction } from 'rxjs';
import { RepulsorError } from '../errors.ts';
import type { LogRecord } from '../log/log.ts';
import type { ReadMemory } from '../log/read-memory.ts';
import { permutation } from '../random/philox.ts';
import { Gate } from './gate.ts';
import type { RecordRun, StreamPosition } from './position.ts';
import type { DecodedRecord, Sample, ShuffledSample, ShuffleWindow } from './sample.ts';
import { windowCursor } from './seen.ts';

export interface ShuffleSettings {
  /** Samples to gather before any is emitted; 1 keeps the order. A run may change it, but not from or to 1. */
  readonly window: number;
  readonly seed: number;
  /** Where the run goes on; null, the default, for a new one. */
  readonly position?: StreamPosition | null;
  /** Asked before each sample is emitted. */
  readonly room?: Gate;
  /** Told of a window's records once all of it was emitted, and taken: who keeps a sample for longer gives none. */
  readonly memory?: ReadMemory;
  /** Held while a full window waits behind the one that is emitted. */
  readonly intake?: Gate;
}

/**
 * Block shuffle: whole records are gathered until they hold `window` samples (or the epoch ends), then emitted in an
 * order that seed and window number alone decide. The next window is gathered while one is emitted, so at most two are
 * held, and a record's worth beyond each.
 *
 * With a position inside a window it takes that window's records again, skips what was consumed, and goes on as if it
 * had never stopped. Errors: STATE_MISMATCH when those records no longer give the samples they gave.
 */
export function shuffle(settings: ShuffleSettings): OperatorFunction<DecodedRecord, ShuffledSample> {
  const { window: size, seed, position = null, room = new Gate(), intake = new Gate(), memory } = settings;
  return (source) =>
    new Observable((subscriber) => {
      const stop = new AbortController();
      let reopened = position?.window ?? null;
      let opened = (position?.windows ?? 0) - (reopened === null ? 0 : 1);
      let gathering = emptyGathering();
      let full: FullWindow[] = [];
      let pumping = false;
      let complete = false;

      /** Turns what was gathered into a window. One without samples is none: nothing of it can be in an order. */
      const close = ({ cursor, epochEnd }: DecodedRecord): void => {
        const { samples, records, read } = gathering;
        const consumed = reopened?.consumed ?? 0;
        gathering = emptyGathering();
        reopened = null;
        if (consumed >= samples.length && consumed > 0) throw changed(records, samples.length, consumed);
        if (samples.length === 0) return;
        const at = { cursor: windowCursor(cursor), epochEnd: epochEnd && windowCursor(epochEnd) };
        const window = { number: opened++, size: samples.length, records, ...at };
        const order = size > 1 ? permutation(seed, 'shuffle', window.number, samples.length) : null;
        full.push({ window, samples, order, consumed, read });
        if (full.length > 1) intake.hold();
      };

      const emit = (from: FullWindow): void => {
        const at = from.order?.[from.consumed] ?? from.consumed;
        const sample = from.samples[at]!;
        from.samples[at] = undefined; // what was emitted is no longer held here
        from.consumed++;
        // Field by field, here and behind: this is done for every sample, and spreading takes as long as copying its pixels.
        const { id, pixels, label, eventTime } = sample;
        subscriber.next({ id, pixels, label, eventTime, window: from.window, consumed: from.consumed });
      };

      const pump = async (): Promise<void> => {
        if (pumping) return;
        pumping = true;
        while (full.length > 0 && !stop.signal.aborted) {
          if (!room.isOpen) {
            await room.whenOpen(stop.signal);
            continue;
          }
          const first = full[0]!;
          emit(first);
          if (first.consumed < first.window.size) continue;
          full.shift();
          if (memory !== undefined) for (const record of first.read) memory.releaseRecord(record);
          if (full.length > 0) intake.release();
        }
        pumping = false;
        if (complete && full.length === 0) subscriber.complete();
      };

      const start = (): void => {
        pump().catch((error: unknown) => subscriber.error(error));
      };

      const subscription = source.subscribe({
        next(record) {
          gathering.samples.push(...record.samples);
          if (memory !== undefined) gathering.read.push(record.record);
          // What gave no sample the window does not need again: a tombstone may be gone by then (compaction).
          if (record.samples.length > 0) append(gathering.records, record);
          const enough = !record.replayed && gathering.samples.length >= size;
          if (!enough && !record.lastReplayed && record.epochEnd === null) return;
          try {
            close(record);
          } catch (error) {
            subscriber.error(error);
          }
          start();
        },
        error: (error) => subscriber.error(error),
        complete() {
          complete = true;
          start();
        },
      });
      return () => {
        stop.abort();
        subscription.unsubscribe();
        full = [];
        gathering = emptyGathering();
      };
    });
}

interface Gathering {
  samples: Sample[];
  records: MutableRun[];
  /** Where the samples' bytes lie; empty where nobody is told. */
  read: LogRecord[];
}

const emptyGathering = (): Gathering => ({ samples: [], records: [], read: [] });

interface MutableRun extends RecordRun {
  readonly offsets: number[];
}

interface FullWindow {
  readonly window: ShuffleWindow;
  readonly samples: (Sample | undefined)[];
  /** Null: as they came. */
  readonly order: Uint32Array | null;
  consumed: number;
  readonly read: readonly LogRecord[];
}

function append(runs: MutableRun[], { record: { topic, partition, offset } }: DecodedRecord): void {
  const last = runs.at(-1);
  if (last?.partition === partition && last.topic === topic) last.offsets.push(offset);
  else runs.push({ topic, partition, offsets: [offset] });
}

function changed(records: readonly RecordRun[], samples: number, consumed: number): RepulsorError {
  const first = records[0];
  const where = first === undefined ? '' : ` from ${first.topic}/${first.partition} offset ${first.offsets[0]} on`;
  const what = `the shuffle window${where} gives ${samples} samples now, but ${consumed} were already taken from it`;
  return new RepulsorError('STATE_MISMATCH', what, {
    hint: 'its records decode differently: use the limits, classes and decoder versions that the run began with',
  });
}
