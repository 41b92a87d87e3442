import type { Negatives } from '../codec/records.ts';

/** Kafka takes records of up to 1 MiB by default (max.message.bytes). */
const RECORD_BYTES = 512 * 1024;
const APPEND_BYTES = 1024 * 1024;

/** Splits a step's rows over several records where one would be too large; their rows follow each other. */
export function splitNegatives(record: Negatives, mostBytes = RECORD_BYTES): Negatives[] {
  const { step, rows, dim, keys, labels } = record;
  const perRecord = Math.max(1, Math.floor(mostBytes / Math.max(1, dim * 4)));
  if (rows <= perRecord) return [record];
  const parts: Negatives[] = [];
  for (let begin = 0; begin < rows; begin += perRecord) {
    const end = Math.min(rows, begin + perRecord);
    parts.push({
      step,
      rows: end - begin,
      dim,
      keys: keys.subarray(begin * dim * 4, end * dim * 4),
      labels: labels.slice(begin, end),
    });
  }
  return parts;
}

/** Groups values, in order, into appends of about a mebibyte: many steps' records are never held encoded at once. */
export function* inAppends(values: Iterable<Uint8Array>, mostBytes = APPEND_BYTES): Generator<Uint8Array[]> {
  let group: Uint8Array[] = [];
  let bytes = 0;
  for (const value of values) {
    if (group.length > 0 && bytes + value.length > mostBytes) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(value);
    bytes += value.length;
  }
  if (group.length > 0) yield group;
}
