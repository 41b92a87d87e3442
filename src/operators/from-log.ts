import { setImmediate as nextTurn } from 'node:timers/promises';
import { Observable } from 'rxjs';
import { RepulsorError } from '../errors.ts';
import type { Log, LogRecord, OffsetRange } from '../log/log.ts';
import type { Gate } from './gate.ts';
import type { PartitionBounds, PartitionOffset, StreamPosition } from './position.ts';
import { readWindow } from './read-window.ts';
import type { Cursor, ReadRecord } from './sample.ts';

export interface FromLogSettings {
  readonly topic: string;
  /** Where to go on; null begins a new run. */
  readonly position: StreamPosition | null;
  /** Passes over the topic as it stands when the run begins (`Infinity` for ever); null follows the topic as it grows. */
  readonly epochs: number | null;
  /** Where a new run that follows the topic begins. Default `earliest`. */
  readonly from?: 'earliest' | 'latest';
  /** Asked before each record is taken. */
  readonly gate: Gate;
  /** Bytes that the log may hold ahead. */
  readonly maxBufferedBytes?: number;
  /** Called when the read has let go of the log, however it ended. */
  readonly onStopped?: () => void;
}

/**
 * The records of a topic, each with the cursor after it. Cold: every subscription reads anew, unsubscribing ends the read.
 *
 * Bounded (`epochs` given): an epoch reads [begin, end) of every partition, fixed when the run begins and kept in the
 * position, in the one order that Log.read has; then the next epoch begins at `begin`. Following (`epochs` null): the
 * records as they come; partitions that a position does not know yet are read from their start.
 * A position with an open shuffle window first gives that window's records again, then goes on at `next`.
 *
 * Errors: TOPIC_MISSING (no such topic, or nothing in it to read), STATE_MISMATCH (a position of another topic or
 * mode), STATE_MISSING (the topic ends before the position), STATE_TRUNCATED (records still needed are gone).
 */
export function fromLog(log: Log, settings: FromLogSettings): Observable<ReadRecord> {
  return new Observable((subscriber) => {
    const stop = new AbortController();
    const read = async () => {
      const records = settings.epochs === null ? follow(log, settings, stop.signal) : pass(log, settings, stop.signal);
      await settings.gate.whenOpen(stop.signal);
      for await (const record of records) {
        if (stop.signal.aborted) break;
        subscriber.next(record);
        // One record a turn of the event loop: a full buffer never holds up heartbeats, metrics or signals.
        await nextTurn();
        await settings.gate.whenOpen(stop.signal);
      }
    };
    read()
      .finally(() => settings.onStopped?.())
      .then(
        () => subscriber.complete(),
        (error: unknown) => subscriber.error(error),
      );
    return () => stop.abort();
  });
}

async function* follow(log: Log, settings: FromLogSettings, signal: AbortSignal): AsyncGenerator<ReadRecord> {
  const { topic, position } = settings;
  checkPosition(settings);
  const ranges = await readRanges(log, topic);
  const begin = (partition: number, range: OffsetRange): number => {
    const known = position?.next.find((entry) => entry.partition === partition);
    if (known !== undefined) return known.offset;
    return position === null && settings.from === 'latest' ? range.end : range.earliest;
  };
  const next = [...ranges].map(([partition, range]) => ({ topic, partition, offset: begin(partition, range) }));
  checkEnds(ranges, next);
  let cursor: Cursor = { epoch: 0, next, turn: 0, bounds: null };
  const options = { signal, maxBufferedBytes: settings.maxBufferedBytes };
  if (position?.window) {
    const records = await readWindow(log, topic, position.window.records, options);
    for (const [i, record] of records.entries()) {
      yield { record, cursor, epochEnd: null, replayed: true, lastReplayed: i === records.length - 1 };
    }
  }
  const from = new Map(next.map(({ partition, offset }) => [partition, offset]));
  for await (const record of log.read(topic, { ...options, from })) {
    cursor = { ...cursor, next: advance(cursor.next, record) };
    yield { record, cursor, epochEnd: null, replayed: false, lastReplayed: false };
  }
}

async function* pass(log: Log, settings: FromLogSettings, signal: AbortSignal): AsyncGenerator<ReadRecord> {
  const { topic, position, epochs } = settings;
  checkPosition(settings);
  const ranges = await readRanges(log, topic);
  const bounds = position?.bounds ?? boundsOf(topic, ranges);
  checkEnds(
    ranges,
    bounds.map(({ partition, end }) => ({ topic, partition, offset: end })),
  );
  const start = bounds.map(({ partition, begin }) => ({ topic, partition, offset: begin }));
  let cursor: Cursor = position ?? { epoch: 0, next: start, turn: 0, bounds };
  cursor = { epoch: cursor.epoch, next: cursor.next, turn: cursor.turn, bounds };
  let open = position?.window ?? null;
  let whole = position === null; // this epoch is read from its beginning
  const options = { signal, maxBufferedBytes: settings.maxBufferedBytes };
  while (cursor.epoch < epochs! && !signal.aborted) {
    const epochEnd: Cursor = { epoch: cursor.epoch + 1, next: start, turn: 0, bounds };
    // One record is held back: only when the read has ended it is known to be the epoch's last (offsets may have gaps).
    let held: ReadRecord | null = null;
    let values = 0;
    for await (const { record, replayed, lastReplayed } of epochRecords(log, topic, cursor, bounds, open, options)) {
      if (held !== null) yield held;
      if (!replayed) {
        const at = bounds.findIndex(({ partition }) => partition === record.partition);
        cursor = { ...cursor, next: advance(cursor.next, record), turn: (at + 1) % bounds.length };
      }
      if (record.value !== null) values++;
      held = { record, cursor, epochEnd: null, replayed, lastReplayed };
    }
    if (signal.aborted) return;
    if (held !== null) yield { ...held, epochEnd };
    if (whole && values === 0) throw nothingToRead(topic, 'holds no record with a value');
    cursor = epochEnd;
    open = null;
    whole = true;
  }
}

type EpochRecord = Pick<ReadRecord, 'record' | 'replayed' | 'lastReplayed'>;

/** The open window's records, then the rest of the epoch. */
async function* epochRecords(
  log: Log,
  topic: string,
  { next, turn }: Cursor,
  bounds: readonly PartitionBounds[],
  open: StreamPosition['window'],
  options: { readonly signal: AbortSignal; readonly maxBufferedBytes: number | undefined },
): AsyncGenerator<EpochRecord> {
  if (open !== null) {
    const records = await readWindow(log, topic, open.records, options);
    for (const [i, record] of records.entries()) {
      yield { record, replayed: true, lastReplayed: i === records.length - 1 };
    }
  }
  const ends = new Map(bounds.map(({ partition, end }) => [partition, end]));
  const rest = next.filter(({ partition, offset }) => offset < ends.get(partition)!);
  const from = new Map(rest.map(({ partition, offset }) => [partition, offset]));
  const to = new Map(rest.map(({ partition }) => [partition, ends.get(partition)!]));
  if (rest.length === 0) return;
  for await (const record of log.read(topic, { ...options, from, to, turn: bounds[turn]!.partition })) {
    yield { record, replayed: false, lastReplayed: false };
  }
}

const advance = (next: readonly PartitionOffset[], { partition, offset }: LogRecord): readonly PartitionOffset[] =>
  next.map((entry) => (entry.partition === partition ? { ...entry, offset: offset + 1 } : entry));

async function readRanges(log: Log, topic: string): Promise<Map<number, OffsetRange>> {
  const partitions = (await log.partitions(topic)).toSorted((a, b) => a - b);
  const ranges = await Promise.all(partitions.map((partition) => log.offsets(topic, partition)));
  return new Map(partitions.map((partition, i) => [partition, ranges[i]!]));
}

function boundsOf(topic: string, ranges: ReadonlyMap<number, OffsetRange>): PartitionBounds[] {
  const bounds = [...ranges].map(([partition, { earliest, end }]) => ({ topic, partition, begin: earliest, end }));
  if (bounds.every(({ begin, end }) => begin >= end)) throw nothingToRead(topic, 'is empty');
  return bounds;
}

function nothingToRead(topic: string, what: string): RepulsorError {
  return new RepulsorError('TOPIC_MISSING', `the topic ${topic} ${what}, so no epoch of it can be read`, {
    hint: `write images into it first (repulsor ingest), or follow it (source.follow)`,
  });
}

function checkPosition({ topic, position, epochs }: FromLogSettings): void {
  if (position === null) return;
  const other = position.next.find((entry) => entry.topic !== topic);
  if (other !== undefined) {
    throw new RepulsorError('STATE_MISMATCH', `the run read the topic ${other.topic}, not ${topic}`, {
      hint: `keep to ${other.topic}, or start a new run`,
    });
  }
  if ((position.bounds === null) !== (epochs === null)) {
    const was = position.bounds === null ? 'followed its topic' : 'passes over its topic in epochs';
    throw new RepulsorError('STATE_MISMATCH', `the run ${was}, and cannot change that at its position`, {
      hint: 'set source.follow back, or start a new run',
    });
  }
}

/** A topic that was deleted and made anew would otherwise be waited on for ever. */
function checkEnds(ranges: ReadonlyMap<number, OffsetRange>, wanted: readonly PartitionOffset[]): void {
  for (const { topic, partition, offset } of wanted) {
    const end = ranges.get(partition)?.end;
    if (end !== undefined && end >= offset) continue;
    const found = end === undefined ? 'is not there' : `ends at offset ${end}`;
    throw new RepulsorError('STATE_MISSING', `${topic}/${partition} ${found}, but the run had read to ${offset}`, {
      hint: 'was the topic deleted and made anew? Restore it, or start a new run',
    });
  }
}
