import { BadRecord } from '../codec/bad-record.ts';
import type { ImageBatchReader } from '../codec/image-batch-reader.ts';
import { RepulsorError } from '../errors.ts';
import { digits } from '../ingest/digits.ts';
import { ingest } from '../ingest/ingest.ts';
import type { Log, LogRecord, NewRecord } from '../log/log.ts';
import { parseLogUrl } from '../log/log-url.ts';
import { openLog } from '../log/open-log.ts';
import { openImageReader } from '../registry/open-image-reader.ts';
import { type Pipeline, topicsOf } from '../trainer/pipeline.ts';
import type { Scratch } from './scratch.ts';
import { samplesNeeded } from './trial-pipeline.ts';

/** Appended together: each append waits for the disk or the broker. */
const APPEND_BYTES = 4_000_000;

/** Event time of the built-in digits in a scratch topic. Any would do; the same each time. */
const FILLED = 1_700_000_000_000;

/** The records that every trial reads. */
export interface ScratchInput {
  /** Names of the scratch topics. */
  readonly topics: readonly string[];
  /** Where they come from, in words. */
  readonly from: string;
  readonly records: number;
  readonly images: number;
  readonly partitions: number;
  /** Whether the trials can follow the topic, as the pipeline does: enough records, in one order only. */
  readonly follow: boolean;
  /** Why they read it in bounded passes though the pipeline follows it; null when they do as the pipeline does. */
  readonly note: string | null;
}

/**
 * Fills the scratch topic with what the trials read: the first records of the user's topic, as many as the steps need, in
 * the same partitions; of a topic that is not there, the built-in data set. So the trials all read the same, though the
 * user's topic grows, and nothing but this read touches it.
 * @throws RepulsorError TOPIC_MISSING, and what the logs throw
 */
export async function fillScratch(
  scratch: Pick<Scratch, 'log' | 'topic'>,
  pipeline: Pipeline,
  from: string,
  steps: number,
): Promise<ScratchInput> {
  const needed = samplesNeeded(pipeline, steps);
  const topics = topicsOf(pipeline.source);
  const source = await openSource(from, topics);
  if (source === null) {
    if (pipeline.source.ingest === null)
      throw new RepulsorError('TOPIC_MISSING', `${topics.join(', ')}: not in ${parseLogUrl(from).url}, or empty`, {
        hint: 'write images into it first (repulsor ingest), or name the log that holds it (--log)',
      });
    const topic = scratch.topic(0);
    await scratch.log.createTopic(topic);
    const { records, images } = await ingest(scratch.log, topic, digits(), { time: FILLED, atomic: true });
    return told({ topics: [topic], from: 'the built-in digits', records, images, partitions: 1 }, pipeline, needed);
  }
  try {
    const read = openImageReader(pipeline.source.registry);
    const filled = { topics: [] as string[], records: 0, images: 0, partitions: 0 };
    for (const [i, topic] of topics.entries()) {
      const copied = await copyRecords(source, topic, scratch.log, scratch.topic(i), needed, read);
      filled.topics.push(scratch.topic(i));
      for (const count of ['records', 'images', 'partitions'] as const) filled[count] += copied[count];
    }
    return told({ ...filled, from: `${topics.join(', ')} in ${source.url}` }, pipeline, needed);
  } finally {
    await source.close();
  }
}

type Copied = Pick<ScratchInput, 'records' | 'images' | 'partitions'>;
type Filled = Copied & Pick<ScratchInput, 'topics' | 'from'>;

function told(filled: Filled, { source }: Pipeline, needed: number): ScratchInput {
  const many = filled.partitions > 1 ? 'the partitions of a followed topic come in no fixed order' : null;
  const few = filled.images < needed ? `a followed topic of ${filled.images} images would wait for more` : null;
  const note = source.follow ? (many ?? few) : null;
  return { ...filled, follow: source.follow && note === null, note };
}

/** Null when there is nothing to read in any of the topics. */
async function openSource(url: string, topics: readonly string[]): Promise<Log | null> {
  let log: Log;
  try {
    log = await openLog(url, { create: false });
  } catch (error) {
    // No folder, no topic; a broker that does not answer is another matter.
    if (url.startsWith('file:') && error instanceof RepulsorError) return null;
    throw error;
  }
  const there = await log.topics();
  for (const topic of topics.filter((name) => there.includes(name))) {
    for (const partition of await log.partitions(topic)) {
      const { earliest, end } = await log.offsets(topic, partition);
      if (earliest < end) return log;
    }
  }
  await log.close();
  return null;
}

async function copyRecords(
  source: Log,
  from: string,
  scratch: Log,
  to: string,
  needed: number,
  read: ImageBatchReader,
): Promise<Copied> {
  const partitions = await source.partitions(from);
  await scratch.createTopic(to, { partitions: partitions.length });
  const ranges = await Promise.all(partitions.map((partition) => source.offsets(from, partition)));
  const range = {
    from: new Map(partitions.map((partition, i) => [partition, ranges[i]!.earliest])),
    to: new Map(partitions.map((partition, i) => [partition, ranges[i]!.end])),
  };
  let pending: NewRecord[] = [];
  let bytes = 0;
  let records = 0;
  let images = 0;
  const flush = async (): Promise<void> => {
    if (pending.length > 0) await scratch.append(to, pending);
    pending = [];
    bytes = 0;
  };
  for await (const record of source.read(from, range)) {
    const { partition, timestamp, key, value, headers } = record;
    pending.push({ partition, timestamp, key, value, headers });
    bytes += value?.length ?? 0;
    records++;
    images += await imagesIn(record, read);
    if (bytes >= APPEND_BYTES) await flush();
    if (images >= needed) break;
  }
  await flush();
  return { records, images, partitions: partitions.length };
}

/** A record that does not decode has none: the trials will set it aside, as the user's run does. */
async function imagesIn({ value }: LogRecord, read: ImageBatchReader): Promise<number> {
  try {
    return value === null ? 0 : (await read(value)).images.length;
  } catch (error) {
    if (error instanceof BadRecord) return 0;
    throw error;
  }
}
