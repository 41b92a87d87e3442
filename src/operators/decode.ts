import { defer, type OperatorFunction, tap } from 'rxjs';
import { BadRecord } from '../codec/bad-record.ts';
import { type ImageBatchReader, imageBatchReader } from '../codec/image-batch-reader.ts';
import { checkImageBatch, type DecodedImages, imagesOf, type Shape } from '../codec/images.ts';
import { DEFAULT_LIMITS, type ImageLimits } from '../codec/limits.ts';
import type { ImageBatch } from '../codec/records.ts';
import type { LogRecord } from '../log/log.ts';
import { Gate } from './gate.ts';
import { inOrder } from './in-order.ts';
import { settleEncoder } from './one-encoder.ts';
import type { LatentsEncoder } from './position.ts';
import type { DecodedRecord, ReadRecord, Rejection, Sample } from './sample.ts';

/** `used`: at least one image of it. */
export type RecordOutcome = 'used' | 'rejected' | 'tombstone';

export interface DecodeSettings {
  /** Height, width, channels that the model takes; images of another shape are rejected. */
  readonly shape: Shape;
  /** Labels are 0 to classes - 1. */
  readonly classes: number;
  /** What latents are multiplied by, 1 by default; those of an encoder that says another scale are refused. */
  readonly latentScale?: number;
  readonly limits?: ImageLimits;
  /** Bytes of a record's value to its content. Default: of records that need no schema registry. @throws BadRecord */
  readonly read?: ImageBatchReader;
  /** Held while a record is being decoded, so that none wait here. */
  readonly intake?: Gate;
  readonly onRecord?: (outcome: RecordOutcome, record: DecodedRecord) => void;
}

/**
 * Records to samples, in order. What cannot be used becomes a rejection of the record, or of one image of it; the other
 * images stay, and keep their index. Tombstones pass through empty. The cursors say from here on whose latents were read.
 */
export function decode(settings: DecodeSettings): OperatorFunction<ReadRecord, DecodedRecord> {
  const { intake = new Gate(), onRecord } = settings;
  return (source) =>
    defer(() => {
      let encoder: LatentsEncoder | null = null;
      return source.pipe(
        tap(() => intake.hold()),
        inOrder(
          (read) => {
            const told = (decoded: DecodedRecord): DecodedRecord => {
              encoder = decoded.cursor.encoder;
              onRecord?.(outcomeOf(decoded), decoded);
              return decoded;
            };
            const decoded = decodeOne(read, encoder, settings);
            return decoded instanceof Promise ? decoded.then(told) : told(decoded);
          },
          // After the operators behind have taken the record, and held the gate where they have no room for another.
          () => intake.release(),
        ),
      );
    });
}

const outcomeOf = ({ record, samples }: DecodedRecord): RecordOutcome =>
  record.value === null ? 'tombstone' : samples.length > 0 ? 'used' : 'rejected';

function decodeOne(
  read: ReadRecord,
  before: LatentsEncoder | null,
  settings: DecodeSettings,
): DecodedRecord | Promise<DecodedRecord> {
  // Of a run that goes on, the position knew.
  let encoder = before ?? read.cursor.encoder;
  const found = samplesOf(read.record, read.cursor.epoch, settings, (batch) => {
    encoder = settleEncoder(encoder, batch, settings.latentScale ?? 1);
  });
  const decoded = ({ samples, rejections }: Found): DecodedRecord => {
    const { record, cursor, epochEnd, replayed, lastReplayed } = read;
    const settled = { cursor: { ...cursor, encoder }, epochEnd: epochEnd && { ...epochEnd, encoder } };
    return { record, ...settled, replayed, lastReplayed, samples, rejections };
  };
  return found instanceof Promise ? found.then(decoded) : decoded(found);
}

/** What decides which samples a record gives. */
export type SampleSettings = Pick<DecodeSettings, 'shape' | 'classes' | 'limits' | 'read'>;

type Found = Pick<DecodedRecord, 'samples' | 'rejections'>;

/**
 * A record's usable images, and what is wrong with the others; a tombstone has neither. A promise only where something is to be
 * waited for: image files, a schema that is not known yet. `epoch`: in which it was met. `admit` may refuse the record as a whole. `pick`: out of how many
 * images of the record to decode which ones, ascending; by default all. @throws what `admit` and `read` throw, but for BadRecord
 */
export function samplesOf(
  { topic, partition, offset, value }: LogRecord,
  epoch: number,
  settings: SampleSettings,
  admit?: (batch: ImageBatch) => void,
  pick?: (images: number) => ArrayLike<number>,
): Found | Promise<Found> {
  if (value === null) return { samples: [], rejections: [] };
  const reject = (error: BadRecord, index: number | null, bytes: Uint8Array): Rejection => ({
    topic,
    partition,
    offset,
    epoch,
    index,
    reason: error.reason,
    message: `${topic}/${partition} offset ${offset}${index === null ? '' : ` image ${index}`}: ${error.message}`,
    hint: error.hint,
    // Kept until the next commit: not with it all that was read beside it. A Buffer's own `slice` would be a view.
    bytes: new Uint8Array(bytes),
  });
  const limits = settings.limits ?? DEFAULT_LIMITS;
  const refuse = (error: unknown): Found => {
    if (!(error instanceof BadRecord)) throw error;
    return { samples: [], rejections: [reject(error, null, value)] };
  };
  const ofBatch = (batch: ImageBatch): Found | Promise<Found> => {
    checkShape(checkImageBatch(batch, limits), settings.shape);
    admit?.(batch);
    const picked = pick === undefined ? null : Array.from(pick(batch.images.length));
    const wanted =
      picked === null ? batch : { ...batch, images: picked.map((index) => batch.images[index]!), labels: null };
    const images = imagesOf(wanted, limits);
    return images instanceof Promise
      ? images.then((found) => ofImages(batch, picked, found))
      : ofImages(batch, picked, images);
  };
  const ofImages = (batch: ImageBatch, picked: readonly number[] | null, images: DecodedImages): Found => {
    const samples: Sample[] = [];
    const rejections: Rejection[] = [];
    for (const [at, image] of images.entries()) {
      const index = picked?.[at] ?? at;
      const label = batch.labels?.[index] ?? null;
      const bad = image instanceof BadRecord ? image : checkLabel(label, settings.classes);
      if (bad !== null) rejections.push(reject(bad, index, batch.images[index]!));
      else
        samples.push({
          id: { topic, partition, offset, index },
          pixels: image as Sample['pixels'],
          label,
          eventTime: batch.eventTime,
        });
    }
    return { samples, rejections };
  };
  try {
    if (value.length > limits.recordBytes) {
      throw new BadRecord('too_large', `${value.length} bytes; the limit is ${limits.recordBytes}`);
    }
    const batch = (settings.read ?? readWithoutRegistry)(value);
    const found = batch instanceof Promise ? batch.then(ofBatch) : ofBatch(batch);
    return found instanceof Promise ? found.catch(refuse) : found;
  } catch (error) {
    return refuse(error);
  }
}

const readWithoutRegistry = imageBatchReader(null);

function checkShape(shape: Shape, wanted: Shape): void {
  if (shape.every((side, i) => side === wanted[i])) return;
  throw new BadRecord('shape', `images of ${shape.join('x')}; the pipeline takes ${wanted.join('x')}`);
}

function checkLabel(label: number | null, classes: number): BadRecord | null {
  if (label === null || (label >= 0 && label < classes)) return null;
  return new BadRecord('labels', `the label ${label} is not one of the ${classes} classes`);
}
