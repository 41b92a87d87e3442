import { RepulsorError } from '../errors.ts';
import type { Log, LogRecord, ReadOptions } from '../log/log.ts';
import type { RecordRun } from './position.ts';

/**
 * Reads again exactly the records of a shuffle window that was open when the run stopped, in their order then. They are
 * held at once: a window's samples are all in memory anyway.
 * @throws RepulsorError STATE_TRUNCATED when one of them is gone
 */
export async function readWindow(
  log: Log,
  topic: string,
  runs: readonly RecordRun[],
  options: Pick<ReadOptions, 'maxBufferedBytes' | 'signal'>,
): Promise<LogRecord[]> {
  const from = new Map<number, number>();
  const to = new Map<number, number>();
  for (const { partition, offsets } of runs) {
    for (const offset of offsets) {
      from.set(partition, Math.min(offset, from.get(partition) ?? offset));
      to.set(partition, Math.max(offset + 1, to.get(partition) ?? 0));
    }
  }
  const found = new Map<string, LogRecord>();
  for await (const record of log.read(topic, { ...options, from, to })) {
    found.set(`${record.partition}/${record.offset}`, record);
  }
  if (options.signal?.aborted) return [];
  return runs.flatMap(({ partition, offsets }) =>
    offsets.map((offset) => {
      const record = found.get(`${partition}/${offset}`);
      if (record === undefined) {
        throw new RepulsorError('STATE_TRUNCATED', `${topic}/${partition} offset ${offset} is gone, but still needed`, {
          hint: "keep records longer (the topic's retention), or start a new run",
        });
      }
      return record;
    }),
  );
}
