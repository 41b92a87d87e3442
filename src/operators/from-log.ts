import { setImmediate as nextTurn } from 'node:timers/promises';
import { Observable } from 'rxjs';
import { hasCode, RepulsorError } from '../errors.ts';
import type { Log, LogRecord } from '../log/log.ts';
import type { ReadMemory } from '../log/read-memory.ts';
import { Gate } from './gate.ts';
import {
  comparePlaces,
  isSamePlace,
  type PartitionBounds,
  type PartitionOffset,
  type Place,
  type StreamPosition,
} from './position.ts';
import { type ReadTopicsOptions, readTopics } from './read-topics.ts';
import { readWindow } from './read-window.ts';
import type { Cursor, ReadRecord } from './sample.ts';
import { withLast } from './seen.ts';
import { boundsOf, checkEnds, checkSeen, nothingToRead, type PlaceRange, sourceRanges } from './source-ranges.ts';
import { deletedError, type TopicIdentity, topicIdentity } from './topic-identity.ts';
import { watchGrowth } from './watch-growth.ts';

export interface FromLogSettings {
  /** Sorted, each once. */
  readonly topics: readonly string[];
  /** Where to go on; null, the default, begins a new run. */
  readonly position?: StreamPosition | null;
  /** Passes over the topics as they stand when the run begins (`Infinity` for ever); null follows them as they grow. */
  readonly epochs: number | null;
  /** Where a new run that follows the topics begins. Default `earliest`. */
  readonly from?: 'earliest' | 'latest';
  /** Asked before each record is taken. Without one, records come as fast as they are read. */
  readonly gate?: Gate;
  /** Noted before anything is read, for who asks later whether the topics are still the same. */
  readonly identity?: TopicIdentity;
  /** Bytes that the log may hold ahead, over all topics. */
  readonly maxBufferedBytes?: number;
  /** As `Log.read` has it. */
  readonly memory?: ReadMemory;
  /** Called when the read has let go of the log, however it ended. */
  readonly onStopped?: () => void;
}

type Reading = Omit<FromLogSettings, 'position'> &
  Required<Pick<FromLogSettings, 'gate' | 'identity'>> & { readonly position: StreamPosition | null };

/**
 * The records of the topics, each with the cursor after it. Cold: every subscription reads anew, unsubscribing ends the
 * read.
 *
 * Bounded (`epochs` given): an epoch reads [begin, end) of every partition, fixed when the run begins and kept in the
 * position, one record of each partition in turn, by topic and number (topic-turns.ts); then the next epoch begins at
 * `begin`. Partitions that came later are not read. Following (`epochs` null): the records as they come; partitions
 * that a position does not know yet, or that come while the topics are followed, are read from their start.
 * A position with an open shuffle window first gives that window's records again, then goes on at `next`.
 *
 * Errors: TOPIC_MISSING (no such topic, or nothing in it to read), STATE_MISMATCH (a position of other topics or of
 * another mode), STATE_MISSING (a topic ends before the position, or was deleted, or made anew), STATE_TRUNCATED
 * (records still needed are gone).
 */
export function fromLog(log: Log, asked: FromLogSettings): Observable<ReadRecord> {
  const { position = null, gate = new Gate(), identity = topicIdentity(log, asked.topics) } = asked;
  const settings: Reading = { ...asked, position, gate, identity };
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

async function* follow(log: Log, settings: Reading, signal: AbortSignal): AsyncGenerator<ReadRecord> {
  const { topics, position, identity } = settings;
  checkPosition(settings);
  const ranges = await rangesToRead(log, settings);
  const next = ranges.map((range): PartitionOffset => {
    const { topic, partition } = range;
    const known = position?.next.find((entry) => isSamePlace(entry, range));
    const start = position === null && settings.from === 'latest' ? range.end : range.earliest;
    return { topic, partition, offset: known?.offset ?? start };
  });
  checkEnds(ranges, position?.next ?? []);
  await checkSeen(log, ranges, position?.seen ?? [], signal);
  const { seen: last, encoder } = position ?? { seen: [], encoder: null };
  let cursor: Cursor = { epoch: 0, next, turn: 0, last, bounds: null, encoder };
  const options = { maxBufferedBytes: settings.maxBufferedBytes, memory: settings.memory };
  if (position?.window) {
    const records = await readWindow(log, position.window.records, { ...options, signal });
    for (const [i, record] of records.entries()) {
      yield { record, cursor, epochEnd: null, replayed: true, lastReplayed: i === records.length - 1 };
    }
  }
  while (!signal.aborted) {
    // One read of the partitions known now; when more have come it is ended, and begun anew with them.
    const round = new AbortController();
    const end = (): void => round.abort();
    signal.addEventListener('abort', end, { once: true });
    const growth = watchGrowth(log, topics, cursor.next, identity, round.signal).finally(end);
    growth.catch(() => undefined); // asked below, once the read has ended
    try {
      for await (const record of readTopics(log, { ...options, from: cursor.next, signal: round.signal })) {
        cursor = advance(cursor, record);
        yield { record, cursor, epochEnd: null, replayed: false, lastReplayed: false };
      }
    } finally {
      end();
      signal.removeEventListener('abort', end);
    }
    cursor = { ...cursor, next: await withGrown(log, cursor.next, await growth) };
  }
}

/** Partitions that came later are read from their start. */
async function withGrown(log: Log, next: readonly PartitionOffset[], grown: readonly Place[]) {
  const starts = grown.map(async (place) => ({
    ...place,
    offset: (await log.offsets(place.topic, place.partition)).earliest,
  }));
  return [...next, ...(await Promise.all(starts))].sort(comparePlaces);
}

async function* pass(log: Log, settings: Reading, signal: AbortSignal): AsyncGenerator<ReadRecord> {
  const { topics, position, epochs } = settings;
  checkPosition(settings);
  const ranges = await rangesToRead(log, settings);
  const bounds = position?.bounds ?? boundsOf(ranges);
  checkEnds(
    ranges,
    bounds.map(({ topic, partition, end }) => ({ topic, partition, offset: end })),
  );
  await checkSeen(log, ranges, position?.seen ?? [], signal);
  const start = bounds.map(({ topic, partition, begin }) => ({ topic, partition, offset: begin }));
  const { epoch, next, turn, encoder } = position ?? { epoch: 0, next: start, turn: 0, encoder: null };
  let cursor: Cursor = { epoch, next, turn, last: position?.seen ?? [], bounds, encoder };
  let open = position?.window ?? null;
  let whole = position === null; // this epoch is read from its beginning
  const options = { signal, maxBufferedBytes: settings.maxBufferedBytes, memory: settings.memory };
  while (cursor.epoch < epochs! && !signal.aborted) {
    const atNext = (): Cursor => ({ ...cursor, epoch: cursor.epoch + 1, next: start, turn: 0 });
    // One record is held back: only when the read has ended it is known to be the epoch's last (offsets may have gaps).
    let held: ReadRecord | null = null;
    const withValues = new Set<string>();
    for await (const { record, replayed, lastReplayed } of epochRecords(log, cursor, bounds, open, options)) {
      if (held !== null) yield held;
      if (!replayed) {
        const at = bounds.findIndex((place) => isSamePlace(place, record));
        cursor = { ...advance(cursor, record), turn: (at + 1) % bounds.length };
      }
      if (record.value !== null) withValues.add(record.topic);
      held = { record, cursor, epochEnd: null, replayed, lastReplayed };
    }
    if (signal.aborted) return;
    if (held !== null) yield { ...held, epochEnd: atNext() };
    const without = whole ? topics.find((topic) => !withValues.has(topic)) : undefined;
    if (without !== undefined) throw nothingToRead(without, 'holds no record with a value');
    cursor = atNext();
    open = null;
    whole = true;
  }
}

type EpochRecord = Pick<ReadRecord, 'record' | 'replayed' | 'lastReplayed'>;

/** The open window's records, then the rest of the epoch. */
async function* epochRecords(
  log: Log,
  { next, turn }: Cursor,
  bounds: readonly PartitionBounds[],
  open: StreamPosition['window'],
  options: Pick<ReadTopicsOptions, 'signal' | 'maxBufferedBytes' | 'memory'>,
): AsyncGenerator<EpochRecord> {
  if (open !== null) {
    const records = await readWindow(log, open.records, options);
    for (const [i, record] of records.entries()) {
      yield { record, replayed: true, lastReplayed: i === records.length - 1 };
    }
  }
  const ends = bounds.map(({ topic, partition, end }) => ({ topic, partition, offset: end }));
  const endOf = (place: Place): PartitionOffset => ends.find((entry) => isSamePlace(entry, place))!;
  const from = next.filter((entry) => entry.offset < endOf(entry).offset);
  if (from.length === 0) return;
  for await (const record of readTopics(log, { ...options, from, to: from.map(endOf), turn: bounds[turn]! })) {
    yield { record, replayed: false, lastReplayed: false };
  }
}

function advance(cursor: Cursor, record: LogRecord): Cursor {
  const next = cursor.next.map((entry) =>
    isSamePlace(entry, record) ? { ...entry, offset: record.offset + 1 } : entry,
  );
  return { ...cursor, next, last: withLast(cursor.last, record) };
}

/** What the topics hold, once it is noted which topics they are. */
async function rangesToRead(log: Log, { topics, position, identity }: Reading): Promise<PlaceRange[]> {
  try {
    await identity.note();
    return await sourceRanges(log, topics);
  } catch (error) {
    throw hasCode(error, 'TOPIC_MISSING') && position !== null ? deletedError(error) : error;
  }
}

function checkPosition({ topics, position, epochs }: Reading): void {
  if (position === null) return;
  const read = [...new Set(position.next.map(({ topic }) => topic))].sort();
  if (read.join() !== [...topics].sort().join()) {
    throw new RepulsorError('STATE_MISMATCH', `the run read ${read.join(', ')}, not ${topics.join(', ')}`, {
      hint: `keep to ${read.join(', ')} (source.topic), or start a new run`,
    });
  }
  if ((position.bounds === null) !== (epochs === null)) {
    const was = position.bounds === null ? 'followed its topics' : 'passes over its topics in epochs';
    throw new RepulsorError('STATE_MISMATCH', `the run ${was}, and cannot change that at its position`, {
      hint: 'set source.follow back, or start a new run',
    });
  }
}
