import { RepulsorError } from '../errors.ts';
import type { Appended, NewRecord } from './log.ts';

/** The last millisecond that a Date can hold is further off; Kafka's varints of differences are exact up to here. */
const LATEST = 2 ** 52;

/**
 * Appends each partition's records as one run, in order, and says for each record where it came to lie. `append`
 * resolves to the offsets of what it was given. All partitions are done, one way or the other, when this settles.
 * @throws RepulsorError BAD_RECORD when a timestamp is none
 */
export async function appendByPartition(
  records: readonly NewRecord[],
  append: (partition: number, records: readonly NewRecord[]) => Promise<readonly number[]>,
): Promise<Appended> {
  const indices = new Map<number, number[]>();
  for (const [index, { partition = 0, timestamp = 0 }] of records.entries()) {
    if (!Number.isSafeInteger(timestamp) || timestamp < 0 || timestamp > LATEST) {
      throw new RepulsorError('BAD_RECORD', `record ${index} to append has timestamp ${timestamp}`, {
        hint: 'Give milliseconds since the epoch, a whole number.',
      });
    }
    const known = indices.get(partition);
    if (known === undefined) indices.set(partition, [index]);
    else known.push(index);
  }
  const appended: { partition: number; offset: number }[] = new Array(records.length);
  const runs = [...indices].map(async ([partition, of]) => {
    const part = of.map((index) => records[index]!);
    const offsets = await append(partition, part);
    for (const [at, index] of of.entries()) appended[index] = { partition, offset: offsets[at]! };
  });
  for (const run of await Promise.allSettled(runs)) if (run.status === 'rejected') throw run.reason;
  return appended;
}
