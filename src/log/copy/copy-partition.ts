import { RepulsorError } from '../../errors.ts';
import type { ExactWriter, Log, LogRecord, OffsetRange } from '../log.ts';
import { readRange } from '../read-range.ts';
import { RecordsDigest, recordBytes } from './record-digest.ts';

/** A partition's way from one log to another: the committed records at offsets `start` to `end`. */
export interface PartitionCut {
  readonly topic: string;
  readonly partition: number;
  readonly start: number;
  readonly end: number;
}

export interface CopiedPartition extends PartitionCut {
  /** Written by this copy; the rest was there. */
  readonly copied: number;
  /** Compared with the original, one by one: all that both have. */
  readonly records: number;
  /** Of keys and values. */
  readonly bytes: number;
  /** Hex, of the records compared (record-digest.ts). */
  readonly sha256: string;
}

/** Told of every batch that is durable, and of every so many records compared. */
export type OnCopied = (progress: {
  readonly cut: PartitionCut;
  readonly offset: number;
  readonly bytes: number;
}) => void;

const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_RECORDS = 10_000;

/** Where a copy has to go on: at the destination's end, if it is this partition's copy so far. */
export interface Standing {
  readonly from: number;
  /** Whether the destination has yet to begin. */
  readonly fresh: boolean;
}

/**
 * Compares what the destination has with the source, by its last record. Nothing is changed.
 * @throws RepulsorError STATE_MISMATCH when it is no copy of the source, STATE_TRUNCATED when records between are gone
 */
export async function standingOf(source: Log, target: Log, cut: PartitionCut): Promise<Standing> {
  const { topic, partition, start, end } = cut;
  const there = await target.offsets(topic, partition);
  const last = await lastRecord(target, topic, partition, there);
  const begun = there.earliest === start && there.end === start;
  if (last === null && there.end <= start) return { from: start, fresh: !begun };
  if (there.end > end) throw mismatch(cut, target, `it goes on to offset ${there.end}, the original ends at ${end}`);
  if (there.end < start) throw gone(cut, there.end);
  const { earliest } = await source.offsets(topic, partition);
  if (last !== null && last.offset >= earliest) {
    const original = (await collect(source, topic, partition, last.offset, last.offset + 1))[0];
    if (original === undefined || !recordBytes(original).equals(recordBytes(last)))
      throw mismatch(cut, target, `its record at offset ${last.offset} is another`);
  }
  return { from: there.end, fresh: false };
}

/** Copies what the destination lacks; each batch is durable before the next is read. Resolves to the records written. */
export async function copyPartition(
  source: Log,
  writer: ExactWriter,
  cut: PartitionCut,
  { from, fresh }: Standing,
  onCopied: OnCopied,
): Promise<number> {
  const { topic, partition, start, end } = cut;
  if (fresh) await writer.begin(partition, start);
  let copied = 0;
  let batch: LogRecord[] = [];
  let bytes = 0;
  const write = async (to: number) => {
    await writer.write(partition, batch, to);
    copied += batch.length;
    onCopied({ cut, offset: to, bytes });
    batch = [];
    bytes = 0;
  };
  if (from >= end) return 0;
  for await (const record of readRange(source, topic, partition, from, end)) {
    batch.push(record);
    bytes += sizeOf(record);
    if (bytes >= BATCH_BYTES || batch.length >= BATCH_RECORDS) await write(record.offset + 1);
  }
  await write(end);
  return copied;
}

/**
 * Reads both and compares every record that both have, of the cut. @throws RepulsorError STATE_DAMAGED naming the first that differs
 */
export async function comparePartition(
  source: Log,
  target: Log,
  cut: PartitionCut,
  copied: number,
  onCopied: OnCopied,
): Promise<CopiedPartition> {
  const { topic, partition, end } = cut;
  const there = await target.offsets(topic, partition);
  const { earliest } = await source.offsets(topic, partition);
  const first = Math.min(end, Math.max(cut.start, earliest, there.earliest));
  if (there.end !== end) throw differs(cut, target, `it ends at ${there.end}, not at ${end}`);
  const digest = new RecordsDigest();
  const copies = readRange(target, topic, partition, first, end)[Symbol.asyncIterator]();
  try {
    for await (const record of readRange(source, topic, partition, first, end)) {
      const copy = await copies.next();
      if (copy.done) throw differs(cut, target, `the record at offset ${record.offset} is missing`);
      if (!recordBytes(record).equals(recordBytes(copy.value)))
        throw differs(cut, target, `the record at offset ${copy.value.offset} is not that at offset ${record.offset}`);
      digest.add(record);
      if (digest.records % 1000 === 0) onCopied({ cut, offset: record.offset, bytes: 0 });
    }
    const more = await copies.next();
    if (!more.done) throw differs(cut, target, `its record at offset ${more.value.offset} is none of the original's`);
  } finally {
    await copies.return?.(undefined);
  }
  const { records, bytes } = digest;
  return { ...cut, copied, records, bytes, sha256: digest.digest() };
}

/** The last committed record, looked for in ever larger windows: offsets have gaps. */
async function lastRecord(log: Log, topic: string, partition: number, { earliest, end }: OffsetRange) {
  for (let size = 64, to = end; to > earliest; size *= 8) {
    const from = Math.max(earliest, to - size);
    let last: LogRecord | null = null;
    for await (const record of readRange(log, topic, partition, from, to)) last = record;
    if (last !== null) return last;
    to = from;
  }
  return null;
}

async function collect(log: Log, topic: string, partition: number, from: number, to: number): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for await (const record of readRange(log, topic, partition, from, to)) records.push(record);
  return records;
}

const sizeOf = ({ key, value }: LogRecord): number => 64 + (key?.length ?? 0) + (value?.length ?? 0);

function mismatch({ topic, partition }: PartitionCut, target: Log, what: string): RepulsorError {
  return new RepulsorError(
    'STATE_MISMATCH',
    `${topic}, partition ${partition}, in ${target.url} is no copy of the original: ${what}`,
    { hint: 'Nothing was changed. Copy into an empty log, or delete the topic there if it is not needed.' },
  );
}

function gone({ topic, partition, start }: PartitionCut, end: number): RepulsorError {
  return new RepulsorError(
    'STATE_TRUNCATED',
    `${topic}, partition ${partition}: the copy ends at offset ${end}, the original begins at ${start} by now`,
    {
      hint: 'What lay between was removed by retention. Copy into another log; copy more often than records are kept.',
    },
  );
}

function differs({ topic, partition }: PartitionCut, target: Log, what: string): RepulsorError {
  return new RepulsorError('STATE_DAMAGED', `the copy of ${topic}, partition ${partition}, in ${target.url}: ${what}`, {
    hint: 'Delete the topic there and copy again; a topic that stamps records with its own clock cannot hold a copy.',
  });
}
