import type { Appended, NewRecord } from './log.ts';

/**
 * Appends each partition's records as one run, in order, and says for each record where it came to lie. `append`
 * resolves to the offsets of what it was given. All partitions are done, one way or the other, when this settles.
 */
export async function appendByPartition(
  records: readonly NewRecord[],
  append: (partition: number, records: readonly NewRecord[]) => Promise<readonly number[]>,
): Promise<Appended> {
  const indices = new Map<number, number[]>();
  for (const [index, { partition = 0 }] of records.entries()) {
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
