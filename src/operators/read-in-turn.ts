import type { Log, LogRecord, ReadOptions } from '../log/log.ts';

/**
 * The rest of a bounded read whose next record is due from partition `first`: the order of `Log.read` (round robin by
 * ascending partition), taken up in mid-round. `from` and `to` hold the partitions not done.
 */
export async function* readInTurn(
  log: Log,
  topic: string,
  first: number,
  { from, to, ...options }: ReadOptions & Required<Pick<ReadOptions, 'to'>>,
): AsyncGenerator<LogRecord> {
  const next = new Map(from);
  const due = new Map([...next].filter(([partition]) => partition >= first));
  if (due.size < next.size && due.size > 0) {
    // The partitions before `first` are one record ahead: the others go through one round by themselves.
    let last = -1;
    for await (const record of log.read(topic, { ...options, from: due, to: only(to, due) })) {
      if (record.partition <= last) break;
      last = record.partition;
      next.set(record.partition, record.offset + 1);
      yield record;
    }
    for (const [partition, offset] of next) if (offset >= to.get(partition)!) next.delete(partition);
  }
  if (next.size > 0) yield* log.read(topic, { ...options, from: next, to: only(to, next) });
}

const only = (all: ReadonlyMap<number, number>, keys: ReadonlyMap<number, unknown>): Map<number, number> =>
  new Map([...all].filter(([partition]) => keys.has(partition)));
