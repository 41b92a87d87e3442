import type { ImageBatchReader } from '../codec/image-batch-reader.ts';
import type { Encoder, ImageBatch } from '../codec/records.ts';
import { encode } from '../codec/single-object.ts';
import { RepulsorError } from '../errors.ts';
import type { Log, NewRecord } from '../log/log.ts';
import { demandSameEncoder } from './same-encoder.ts';
import type { ImageSource, SourceImage, UnreadableImage } from './source.ts';

export interface IngestSettings {
  /** Most images in a record. Default 100; fewer where their bytes fill a record first. */
  readonly batch?: number;
  /** Event time of every record, in milliseconds since the epoch. */
  readonly time: number;
  /** All or nothing: one transaction, so that a topic is never left half filled. For sources of some hundred megabytes at most. */
  readonly atomic?: boolean;
  /** Write nothing where the topic holds records already. With `atomic`, of several that begin at once one writes. */
  readonly ifEmpty?: boolean;
  /** What makes the source's latents; of images, null. A topic that holds those of another is refused. */
  readonly encoder?: Encoder | null;
  /** Reads what the topic holds already. Default: of records that need no schema registry. */
  readonly read?: ImageBatchReader;
  /** Called after every append. */
  readonly onProgress?: (sofar: IngestCounts) => void;
}

export interface IngestCounts {
  readonly records: number;
  readonly images: number;
  /** Of the records' values. */
  readonly bytes: number;
  readonly unreadable: readonly UnreadableImage[];
}

/** A record stays below the 1 MB that a broker takes by default. */
const RECORD_BYTES = 900_000;
/** Appended together: each append waits for the disk or the broker. */
const APPEND_BYTES = 4_000_000;
/** Shapes and encodings gathered side by side: a folder of photographs may have one for each. */
const OPEN_RECORDS = 32;

/**
 * Appends the images of a source to `topic` (which is there already) as image-batch records, going through its
 * partitions in turn. A record holds images of one shape and encoding; a source that mixes them fills one record of
 * each at a time. What cannot be read is passed over and reported. No records at all: `ifEmpty` found some.
 * @throws RepulsorError BAD_RECORD when not one image could be read; CONFIG when the topic holds what another encoder made;
 * TOPIC_MISSING, LOG_FAILED
 */
export async function ingest(
  log: Log,
  topic: string,
  source: ImageSource,
  settings: IngestSettings,
): Promise<IngestCounts> {
  const partitions = await log.partitions(topic);
  const writer = settings.atomic ? await log.takeOver(`ingest-${topic}`) : null;
  try {
    // Asked after the take-over: whoever was filling the topic has committed by now, or never will.
    if (settings.ifEmpty && !(await isEmpty(log, topic))) return { records: 0, images: 0, bytes: 0, unreadable: [] };
    await demandSameEncoder(log, topic, partitions, settings.encoder ?? null, settings.read);
    const transaction = writer === null ? null : await writer.begin();
    const append = (records: readonly NewRecord[]) => (transaction ?? log).append(topic, records);
    try {
      const counts = await appendAll(source, partitions, append, settings);
      await transaction?.commit();
      return counts;
    } catch (error) {
      await transaction?.abort().catch(() => {}); // the first error is the one to tell
      throw error;
    }
  } finally {
    await writer?.close();
  }
}

/** Whether a topic that is there never had a record. */
export async function isEmpty(log: Log, topic: string): Promise<boolean> {
  const partitions = await log.partitions(topic);
  const ranges = await Promise.all(partitions.map((partition) => log.offsets(topic, partition)));
  return ranges.every(({ end }) => end === 0);
}

async function appendAll(
  source: ImageSource,
  partitions: readonly number[],
  append: (records: readonly NewRecord[]) => Promise<unknown>,
  { batch = 100, time, onProgress }: IngestSettings,
): Promise<IngestCounts> {
  let records = 0;
  let images = 0;
  let bytes = 0;
  const unreadable: UnreadableImage[] = [];
  let pending: NewRecord[] = [];
  let pendingBytes = 0;
  const flush = async (): Promise<void> => {
    if (pending.length > 0) await append(pending);
    pending = [];
    pendingBytes = 0;
    onProgress?.({ records, images, bytes, unreadable });
  };

  const open = new Map<string, OpenRecord>();
  const finish = async (key: string, record: OpenRecord): Promise<void> => {
    open.delete(key);
    const value = encode('image-batch', toImageBatch(record, time, source.id));
    pending.push({ partition: partitions[records % partitions.length]!, value, timestamp: time });
    pendingBytes += value.length;
    records++;
    images += record.images.length;
    bytes += value.length;
    if (pendingBytes >= APPEND_BYTES) await flush();
  };

  for await (const image of source.images()) {
    if ('unreadable' in image) {
      unreadable.push(image);
      continue;
    }
    if (image.bytes.length > RECORD_BYTES) {
      unreadable.push({ name: image.name, unreadable: `its ${image.bytes.length} bytes do not fit into a record` });
      continue;
    }
    const key = `${image.encoding} ${image.shape.join('x')}`;
    const full = open.get(key);
    if (full !== undefined && full.bytes + image.bytes.length > RECORD_BYTES) await finish(key, full);
    const into = open.get(key) ?? { images: [], bytes: 0 };
    open.set(key, into);
    into.images.push(image);
    into.bytes += image.bytes.length;
    if (into.images.length >= batch) await finish(key, into);
    else if (open.size > OPEN_RECORDS) await finish(...[...open][0]!);
  }
  for (const [key, record] of open) await finish(key, record);
  if (images === 0) throw nothingReadable(source, unreadable);
  await flush();
  return { records, images, bytes, unreadable };
}

interface OpenRecord {
  readonly images: SourceImage[];
  bytes: number;
}

function toImageBatch({ images }: OpenRecord, eventTime: number, source: string): ImageBatch {
  const { shape, encoding, encoder } = images[0]!;
  const labels = images.map(({ label }) => label);
  return {
    shape: [...shape],
    encoding,
    images: images.map(({ bytes }) => bytes),
    labels: labels.every((label) => label !== null) ? labels : null,
    eventTime,
    source,
    encoder: encoder ?? null,
  };
}

function nothingReadable({ id }: ImageSource, unreadable: readonly UnreadableImage[]): RepulsorError {
  const first = unreadable[0];
  const why = first === undefined ? '' : `, of ${unreadable.length}; the first, ${first.name}: ${first.unreadable}`;
  return new RepulsorError('BAD_RECORD', `no image of ${id} can be read${why}`, {
    hint: 'check that the files open in an image viewer',
  });
}
