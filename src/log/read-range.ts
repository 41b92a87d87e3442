import { RepulsorError } from '../errors.ts';
import type { Log, LogRecord } from './log.ts';

/**
 * The committed records of one partition with offsets in [begin, end), in order, all of which were there once.
 * @throws RepulsorError STATE_MISSING where the partition ends before `end`: a read would wait for what never comes; and
 * as `Log.read`
 */
export async function* readRange(
  log: Log,
  topic: string,
  partition: number,
  begin: number,
  end: number,
): AsyncGenerator<LogRecord> {
  await demandWritten(log, topic, partition, end);
  yield* log.read(topic, { from: new Map([[partition, begin]]), to: new Map([[partition, end]]) });
}

/** @throws RepulsorError STATE_MISSING where the partition does not reach to `end`, TOPIC_MISSING */
export async function demandWritten(log: Log, topic: string, partition: number, end: number): Promise<void> {
  const there = await log.offsets(topic, partition);
  if (there.end >= end) return;
  throw new RepulsorError(
    'STATE_MISSING',
    `${topic}, partition ${partition}, ends at offset ${there.end} in ${log.url}, but was written up to ${end}`,
    { hint: 'Was the topic deleted and made anew, or has the log lost its newest records? Restore it from a copy.' },
  );
}
