import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import type { StreamPosition } from './position.ts';
import { type Since, spellSince } from './since.ts';

/**
 * The position before the first record of a run, said outright: what a run that begins with a commit starts from. Bounded
 * runs read [begin, end as it is now) in every epoch.
 * @throws RepulsorError TOPIC_MISSING, USAGE when an offset is not there
 */
export async function beginPosition(
  log: Log,
  topic: string,
  {
    follow,
    from,
    since,
  }: { readonly follow: boolean; readonly from: 'earliest' | 'latest'; readonly since: Since | null },
): Promise<StreamPosition> {
  const partitions = (await log.partitions(topic)).toSorted((a, b) => a - b);
  const bounds = await Promise.all(
    partitions.map(async (partition) => {
      const { earliest, end } = await log.offsets(topic, partition);
      if (since === null) return { topic, partition, begin: follow && from === 'latest' ? end : earliest, end };
      if ('time' in since) return { topic, partition, begin: await log.offsetAt(topic, partition, since.time), end };
      if (since.offset < earliest || since.offset > end)
        throw notThere(`${topic}/${partition}`, since.offset, earliest, end);
      return { topic, partition, begin: since.offset, end };
    }),
  );
  if (!follow && bounds.every(({ begin, end }) => begin >= end)) throw nothingSince(topic, since);
  const next = bounds.map(({ begin, end: _end, ...place }) => ({ ...place, offset: begin }));
  return { epoch: 0, samples: 0, windows: 0, next, turn: 0, bounds: follow ? null : bounds, window: null };
}

function notThere(where: string, offset: number, earliest: number, end: number): RepulsorError {
  return new RepulsorError('USAGE', `${where} has offsets ${earliest} to ${end}; ${offset} is not there`, {
    hint: 'begin at one that every partition has, or at a time (--since 2026-11-01T00:00Z)',
  });
}

function nothingSince(topic: string, since: Since | null): RepulsorError {
  const what = since === null ? 'is empty' : `holds nothing since ${spellSince(since)}`;
  return new RepulsorError('TOPIC_MISSING', `the topic ${topic} ${what}, so no epoch of it can be read`, {
    hint: 'begin earlier, write images into it first (repulsor ingest), or follow it (source.follow)',
  });
}
