import type { PartitionOffset, StreamPosition } from './position.ts';

/**
 * Per input partition the oldest offset that a stream resumed at `position` reads: of the open shuffle window where it
 * has records there, else the next one. Older records may be removed by retention.
 */
export function neededOffsets(position: StreamPosition): PartitionOffset[] {
  return position.next.map(({ topic, partition, offset }) => {
    const windowed = (position.window?.records ?? [])
      .filter((run) => run.topic === topic && run.partition === partition)
      .flatMap((run) => run.offsets);
    return { topic, partition, offset: windowed.reduce((least, o) => Math.min(least, o), offset) };
  });
}
