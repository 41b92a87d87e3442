import { bits } from '../random/philox.ts';
import type { PartitionBounds, Place } from './position.ts';

/** Offsets [from, to) of a partition. */
export interface Span extends Place {
  readonly from: number;
  readonly to: number;
}

/** Places that an archive window is drawn from at most. Part of the stream's definition. */
export const PLACES = 32;

/** Offsets in the ranges. */
export const lengthOf = (ranges: readonly PartitionBounds[]): number =>
  ranges.reduce((sum, { begin, end }) => sum + end - begin, 0);

/**
 * Where window `number` reads the archive: `count` places, spread evenly over the ranges laid end to end. They are cut
 * into `count` equal stretches, and in each an offset is drawn at random: from there on the stretch is read, to its end
 * and then from its beginning. So every offset of a stretch is as likely as any other to come first, no offset comes
 * twice, and no age of the archive is left out. A pure function of its arguments.
 * Returns for each place its spans in reading order. `count` is at most the ranges' length.
 */
export function archivePlaces(
  seed: number,
  number: number,
  ranges: readonly PartitionBounds[],
  count: number,
): readonly Span[][] {
  const length = lengthOf(ranges);
  const words = bits(seed, 'archive-place', number, 2 * count);
  return Array.from({ length: count }, (_, i) => {
    const begin = Math.floor((i * length) / count);
    const end = Math.floor(((i + 1) * length) / count);
    // 53 random bits as a number in [0, 1).
    const unit = (words[2 * i]! * 2 ** 21 + (words[2 * i + 1]! >>> 11)) / 2 ** 53;
    const drawn = begin + Math.floor(unit * (end - begin));
    return [...spansOf(ranges, drawn, end), ...spansOf(ranges, begin, drawn)];
  });
}

/** [from, to) of the ranges laid end to end, by partition. */
function spansOf(ranges: readonly PartitionBounds[], from: number, to: number): Span[] {
  const spans: Span[] = [];
  let before = 0;
  for (const { topic, partition, begin, end } of ranges) {
    const first = Math.max(from - before, 0);
    const last = Math.min(to - before, end - begin);
    if (first < last) spans.push({ topic, partition, from: begin + first, to: begin + last });
    before += end - begin;
  }
  return spans;
}
