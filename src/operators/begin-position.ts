import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { byTopic, NOWHERE, type StreamPosition } from './position.ts';
import { type Since, spellSince } from './since.ts';
import { nothingToRead, type PlaceRange, sourceRanges } from './source-ranges.ts';

/**
 * The position before the first record of a run, said outright: what a run that begins with a commit starts from. Bounded
 * runs read [begin, end as it is now) in every epoch.
 * @throws RepulsorError TOPIC_MISSING, USAGE when an offset is not there
 */
export async function beginPosition(
  log: Log,
  topics: readonly string[],
  {
    follow,
    from,
    since,
  }: { readonly follow: boolean; readonly from: 'earliest' | 'latest'; readonly since: Since | null },
): Promise<StreamPosition> {
  const ranges = await sourceRanges(log, topics);
  const beginOf = async ({ topic, partition, earliest, end }: PlaceRange): Promise<number> => {
    if (since === null) return follow && from === 'latest' ? end : earliest;
    return 'time' in since ? log.offsetAt(topic, partition, since.time) : since.offset;
  };
  const begins = await Promise.all(ranges.map(beginOf));
  for (const [i, range] of ranges.entries())
    if (begins[i]! < range.earliest || begins[i]! > range.end) throw notThere(range, begins[i]!);
  const bounds = ranges.map(({ topic, partition, end }, i) => ({ topic, partition, begin: begins[i]!, end }));
  if (!follow)
    for (const [topic, places] of byTopic(bounds))
      if (places.every(({ begin, end }) => begin >= end)) throw nothingToRead(topic, nothingSince(since));
  const next = bounds.map(({ topic, partition, begin }) => ({ topic, partition, offset: begin }));
  return { ...NOWHERE, next, bounds: follow ? null : bounds };
}

function notThere({ topic, partition, earliest, end }: PlaceRange, offset: number): RepulsorError {
  const where = `${topic}/${partition}`;
  return new RepulsorError('USAGE', `${where} has offsets ${earliest} to ${end}; ${offset} is not there`, {
    hint: 'begin at one that every partition has, or at a time (--since 2026-11-01T00:00Z)',
  });
}

function nothingSince(since: Since | null): string {
  return since === null ? 'is empty' : `holds nothing since ${spellSince(since)}`;
}
