import { RepulsorError } from '../errors.ts';
import type { Log, OffsetRange } from '../log/log.ts';
import {
  byTopic,
  comparePlaces,
  isSamePlace,
  type PartitionBounds,
  type PartitionOffset,
  type Place,
  type SeenRecord,
} from './position.ts';
import { readTopics } from './read-topics.ts';
import { recordChecksum } from './seen.ts';
import { madeAnewError } from './topic-identity.ts';

/** What a partition holds now. */
export interface PlaceRange extends Place, OffsetRange {}

/** Every partition of the topics, sorted. @throws RepulsorError TOPIC_MISSING */
export async function sourceRanges(log: Log, topics: readonly string[]): Promise<PlaceRange[]> {
  const places = await Promise.all(
    topics.map(async (topic) => (await log.partitions(topic)).map((partition) => ({ topic, partition }))),
  );
  const ranges = places
    .flat()
    .map(async (place): Promise<PlaceRange> => ({ ...place, ...(await log.offsets(place.topic, place.partition)) }));
  return (await Promise.all(ranges)).sort(comparePlaces);
}

/** What an epoch reads: all that is there now. @throws RepulsorError TOPIC_MISSING when a topic has nothing */
export function boundsOf(ranges: readonly PlaceRange[]): PartitionBounds[] {
  for (const [topic, places] of byTopic(ranges))
    if (places.every(({ earliest, end }) => earliest >= end)) throw nothingToRead(topic, 'is empty');
  return ranges.map(({ topic, partition, earliest, end }) => ({ topic, partition, begin: earliest, end }));
}

export function nothingToRead(topic: string, what: string): RepulsorError {
  return new RepulsorError('TOPIC_MISSING', `the topic ${topic} ${what}, so no epoch of it can be read`, {
    hint: `write images into it first (repulsor ingest), or follow it (source.follow)`,
  });
}

/** A topic that was deleted and made anew would otherwise be waited on for ever. @throws RepulsorError STATE_MISSING */
export function checkEnds(ranges: readonly PlaceRange[], wanted: readonly PartitionOffset[]): void {
  for (const place of wanted) {
    const end = ranges.find((range) => isSamePlace(range, place))?.end;
    if (end !== undefined && end >= place.offset) continue;
    const found = end === undefined ? 'is not there' : `ends at offset ${end}`;
    const where = `${place.topic}/${place.partition}`;
    throw new RepulsorError('STATE_MISSING', `${where} ${found}, but the run had read to ${place.offset}`, {
      hint: 'was the topic deleted and made anew? Restore it, or start a new run',
    });
  }
}

/**
 * The records that were read last must be what lies there now, where retention and compaction have left them: a topic
 * that was made anew may hold more records than the old one. To be called once `checkEnds` has passed.
 * @throws RepulsorError STATE_MISSING
 */
export async function checkSeen(
  log: Log,
  ranges: readonly PlaceRange[],
  seen: readonly SeenRecord[],
  signal: AbortSignal,
): Promise<void> {
  const left = seen.filter((record) => {
    const range = ranges.find((each) => isSamePlace(each, record));
    return range !== undefined && range.earliest <= record.offset && record.offset < range.end;
  });
  if (left.length === 0) return;
  const to = left.map((record) => ({ ...record, offset: record.offset + 1 }));
  for await (const record of readTopics(log, { from: left, to, signal })) {
    const known = left.find((each) => isSamePlace(each, record))!;
    if (recordChecksum(record) === known.checksum) continue;
    throw madeAnewError(
      record.topic,
      `the record at offset ${record.offset} of partition ${record.partition} is not the one that the run read there`,
    );
  }
}
