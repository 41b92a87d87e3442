import type { NewRecord } from '../../src/log/log.ts';

/** The records of append number `number`: one to three, in partitions 0 to 2, up to some kilobytes each. */
export function recordNumber(number: number): NewRecord[] {
  return Array.from({ length: 1 + (number % 3) }, (_, index) => ({
    partition: (number + index) % 3,
    value: Buffer.from(`${number} `.repeat(1 + ((number * 7919) % 900))),
  }));
}
