import { Observable, type OperatorFunction } from 'rxjs';
import { BatchImages } from './batch-images.ts';
import type { PlaceSettings } from './place.ts';
import type { SampleId, StreamPosition } from './position.ts';
import { type AugmentedSample, positionOf } from './sample.ts';

/** What the trainer takes a step on. Its arrays are its own: nobody else holds or changes them. */
export interface Batch {
  /** Samples, B. */
  readonly size: number;
  /**
   * (B, H, W, C): pixels as bytes (`unitPixels` gives what a model takes), latents as floats, scaled. A batch that has both
   * is of floats, its pixels in [-1, 1].
   */
  readonly images: Uint8Array | Float32Array;
  /** (B); the null class where a record had no labels. */
  readonly labels: Int32Array;
  readonly ids: readonly SampleId[];
  /** Which of them, counted from 0 and ascending, were read again from the archive. */
  readonly archived: readonly number[];
  /** (B) milliseconds since the epoch. */
  readonly eventTimes: Float64Array;
  /** Ordinal of the first sample: how many the run emitted before. */
  readonly ordinal: number;
  /** The epoch that the last sample belongs to. */
  readonly epoch: number;
  /** Right after the last sample. */
  readonly position: StreamPosition;
}

export interface BatchSettings extends PlaceSettings {
  readonly size: number;
  /** The label of a sample that has none. */
  readonly nullClass: number;
  /** Images of a batch that nobody looks at any more, to be filled anew; undefined where there are none. */
  readonly used?: () => Uint8Array | undefined;
  /** Told at the end of a bounded read how many samples were left over, too few for a batch. */
  readonly onLeftover?: (samples: number) => void;
}

/**
 * Whole batches only. An epoch's end does not cut a batch: it goes on into the next epoch, so every sample of an epoch
 * is applied exactly once. What is left when a bounded read ends is not emitted but told; while a topic is followed, the
 * samples wait for the batch to fill.
 */
export function batch(settings: BatchSettings): OperatorFunction<AugmentedSample, Batch> {
  const { size, nullClass, onLeftover } = settings;
  return (source) =>
    new Observable((subscriber) => {
      let open = emptyBatch(settings);
      return source.subscribe({
        next(sample) {
          const at = open.ids.length;
          open.images.put(at, sample);
          open.labels[at] = sample.label ?? nullClass;
          open.eventTimes[at] = sample.eventTime;
          open.ids.push(sample.id);
          if (sample.archived) open.archived.push(at);
          if (open.ids.length < size) return;
          const full = open;
          open = emptyBatch(settings);
          subscriber.next({
            ...full,
            images: full.images.images,
            size,
            ordinal: sample.ordinal + 1 - size,
            epoch: sample.epoch,
            position: positionOf(sample.standing),
          });
        },
        error: (error) => subscriber.error(error),
        complete() {
          onLeftover?.(open.ids.length);
          subscriber.complete();
        },
      });
    });
}

function emptyBatch({ size, used, ...settings }: BatchSettings) {
  return {
    images: new BatchImages(size, settings, used?.()),
    labels: new Int32Array(size),
    eventTimes: new Float64Array(size),
    ids: [] as SampleId[],
    archived: [] as number[],
  };
}
