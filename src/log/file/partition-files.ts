import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createExclusively, removeIfThere } from '../../files/durable-file.ts';
import { parseSegmentName, parseStartName, type SegmentName, segmentName, startName } from './layout.ts';

/** The files of one partition as the folder names them. */
export interface PartitionFiles {
  /** The earliest offset still there: what lies before was removed by retention. */
  readonly start: number;
  /** Ascending by base, then by epoch. */
  readonly segments: readonly SegmentName[];
}

export async function listPartition(folder: string): Promise<PartitionFiles> {
  let start = 0;
  const segments: SegmentName[] = [];
  for (const name of await readdir(folder)) {
    const segment = parseSegmentName(name);
    if (segment !== null) segments.push(segment);
    start = Math.max(start, parseStartName(name) ?? 0);
  }
  segments.sort((a, b) => a.base - b.base || a.epoch - b.epoch);
  return { start, segments };
}

/**
 * Removes segments and lets the partition begin at `start`. The new start is durable first, and is a name of its own:
 * a writer that was paused in here and goes on later can only repeat what is done, never move the start back.
 */
export async function removeSegments(
  folder: string,
  segments: readonly SegmentName[],
  start: number | null,
): Promise<void> {
  if (start !== null) {
    await createExclusively(join(folder, startName(start)), Buffer.alloc(0));
    for (const name of await readdir(folder)) {
      const older = parseStartName(name);
      if (older !== null && older < start) await removeIfThere(join(folder, name));
    }
  }
  for (const segment of segments) await removeIfThere(join(folder, segmentName(segment)));
}
