import { Observable, type OperatorFunction } from 'rxjs';
import type { Archive, ArchiveWindow } from './archive.ts';
import { Gate } from './gate.ts';
import type { ArchivePosition, StreamPosition } from './position.ts';
import { type MixedSample, positionOf, type ShuffledSample } from './sample.ts';

export interface MixSettings {
  /** Of all samples, how many come from the archive: in [0, 1). Default 0. */
  readonly share?: number;
  /** Null, the default: nothing is mixed in. */
  readonly archive?: Archive | null;
  /** Where the run goes on; null, the default, for a new one. */
  readonly position?: StreamPosition | null;
  /** Asked before each sample is emitted. */
  readonly room?: Gate;
  /** Held while no new sample can be taken. */
  readonly turn?: Gate;
  /** Told when the window that was open cannot be had again: another one is drawn. */
  readonly onLost?: (() => void) | undefined;
}

/**
 * Whether the sample with this ordinal comes from the archive: spread evenly, so that among the first n there are
 * floor(n share) of them. Never the first one.
 */
export const isFromArchive = (ordinal: number, share: number): boolean =>
  Math.floor((ordinal + 1) * share) > Math.floor(ordinal * share);

/**
 * Puts samples of the archive between the new ones, and numbers all. Which places they take the share decides, and which
 * samples they are archive.ts: both are functions of seed and position, so a stream taken up at any position goes on as
 * it would have. While the archive has nothing the new samples take its places; while there are no new ones nothing is
 * emitted beyond the places that are due, for a share below 1 always leaves the next one to them.
 *
 * Where retention has removed some of the window that was open when the run stopped, what is left of it is given up and
 * another one drawn from what is there: the journal has named what was trained, and nothing new is lost.
 */
export function mix(settings: MixSettings = {}): OperatorFunction<ShuffledSample, MixedSample> {
  const { share = 0, archive = null, position = null, room = new Gate(), turn = new Gate(), onLost } = settings;
  return (source) =>
    new Observable((subscriber) => {
      const stop = new AbortController();
      let ordinal = position?.samples ?? 0;
      let at = position;
      let window: ArchiveWindow | null = null;
      /** Where the run stood when the archive had nothing. */
      let emptyAt: string | null = null;
      let complete = false;
      let busy = false;

      const emitArchived = ({ ranges, samples }: ArchiveWindow, { archive: of, ...rest }: StreamPosition): void => {
        const consumed = (of?.open?.consumed ?? 0) + 1;
        const over = consumed === samples.length;
        const windows = of?.open ? of.windows : (of?.windows ?? 0) + 1;
        const standing = {
          ...rest,
          samples: ordinal + 1,
          archive: { windows, open: over ? null : { consumed, size: samples.length, ranges } },
        };
        if (over) window = null;
        at = standing;
        const epoch = rest.epoch;
        subscriber.next({ ...samples[consumed - 1]!, ordinal: ordinal++, archived: true, epoch, standing });
      };

      /** The window that is open in `standing`, or else the next one. */
      const load = async (from: Archive, standing: StreamPosition): Promise<void> => {
        const { windows = 0, open = null } = standing.archive ?? {};
        if (open !== null) {
          window = await from.reopen(windows - 1, open, standing.encoder);
          if (window !== null || stop.signal.aborted) return;
          onLost?.();
          at = { ...standing, archive: { windows, open: null } };
        }
        window = await from.draw(windows, standing);
        if (window === null) emptyAt = extentOf(standing);
      };

      /** Emits what is due from the archive, and then lets the next new sample come. */
      const advance = (): void => {
        while (!stop.signal.aborted) {
          const due = archive !== null && at !== null && isFromArchive(ordinal, share) && emptyAt !== extentOf(at);
          if (room.isOpen && !due) break;
          if (room.isOpen && window !== null) emitArchived(window, at!);
          else {
            later(room.isOpen ? load(archive!, at!) : room.whenOpen(stop.signal));
            return;
          }
        }
        if (stop.signal.aborted) return;
        if (complete) subscriber.complete();
        else if (busy) {
          busy = false;
          turn.release();
        }
      };
      const later = (waiting: Promise<void>): void => {
        if (!busy) turn.hold();
        busy = true;
        waiting.then(advance).catch((error: unknown) => subscriber.error(error));
      };

      if (archive !== null) advance();
      const subscription = source.subscribe({
        next(sample) {
          const archived = at?.archive ?? null;
          const kept: ArchivePosition | null = archive === null && archived ? { ...archived, open: null } : archived;
          const { id, pixels, label, eventTime } = sample;
          const { epoch } = sample.window.cursor;
          const standing = { sample, samples: ordinal + 1, archive: kept };
          if (archive !== null) at = positionOf(standing);
          subscriber.next({ id, pixels, label, eventTime, ordinal: ordinal++, archived: false, epoch, standing });
          if (archive !== null) advance();
        },
        error: (error) => subscriber.error(error),
        complete() {
          complete = true;
          if (!busy) subscriber.complete();
        },
      });
      return () => {
        stop.abort();
        subscription.unsubscribe();
        window = null;
      };
    });
}

/** Changes when more has been done with than before: until then an archive that had nothing has nothing. */
const extentOf = ({ epoch, windows, window }: StreamPosition): string => `${epoch}/${windows}/${window === null}`;
