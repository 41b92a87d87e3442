import type { Log, LogRecord } from './log.ts';

/** The committed records of one partition with offsets in [begin, end), in order. Errors as of `Log.read`. */
export function readRange(
  log: Log,
  topic: string,
  partition: number,
  begin: number,
  end: number,
): AsyncIterable<LogRecord> {
  return log.read(topic, { from: new Map([[partition, begin]]), to: new Map([[partition, end]]) });
}
