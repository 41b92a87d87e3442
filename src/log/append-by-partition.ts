import type { Appended, NewRecord } from './log.ts';

/** Appends each partition's records as one run, in order, and says for each record where it came to lie. */
export async function appendByPartition(
  records: readonly NewRecord[],
  append: (partition: number, records: readonly NewRecord[]) => Promise<number>,
): Promise<Appended> {
  const indices = new Map<number, number[]>();
  for (const [index, { partition = 0 }] of records.entries()) {
    const known = indices.get(partition);
    if (known === undefined) indices.set(partition, [index]);
    else known.push(index);
  }
  const appended: { partition: number; offset: number }[] = new Array(records.length);
  for (const [partition, of] of indices) {
    const first = await append(
      partition,
      of.map((index) => records[index]!),
    );
    for (const [at, index] of of.entries()) appended[index] = { partition, offset: first + at };
  }
  return appended;
}
