import { BlockColumns } from './posting-block.ts';
import { compareStreams, type StreamName } from './segment-format.ts';
import type { SegmentReader } from './segment-reader.ts';
import { SegmentWriter } from './segment-writer.ts';

/** Walks through all postings of a segment, a block in memory at a time. */
class Cursor {
  readonly #segment: SegmentReader;
  /** Of the segment's streams their numbers in the merged one. */
  readonly #streams: readonly number[];
  readonly columns = new BlockColumns();
  #block = 0;
  stream = 0;
  at = 0;

  constructor(segment: SegmentReader, merged: readonly StreamName[]) {
    this.#segment = segment;
    this.#streams = segment.streams.map((name) => merged.findIndex((other) => compareStreams(name, other) === 0));
  }

  /** The next block; false at the end. */
  async load(): Promise<boolean> {
    if (this.#block >= this.#segment.footer.blocks) return false;
    const entry = this.#segment.entry(this.#block++);
    await this.#segment.readBlock(entry, this.columns);
    this.stream = this.#streams[entry.stream]!;
    this.at = 0;
    return true;
  }
}

/** One segment out of several that follow each other in the lineage, with a block of each in memory. */
export async function mergeSegments(segments: readonly SegmentReader[], path: string): Promise<void> {
  const all = segments.flatMap(({ streams }) => streams).sort(compareStreams);
  const streams = all.filter((name, i) => i === 0 || compareStreams(name, all[i - 1]!) !== 0);
  const writer = await SegmentWriter.create(path, streams);
  try {
    for (const segment of segments) {
      for await (const row of segment.commits()) {
        writer.addCommit(row);
        if (writer.due) await writer.flush();
      }
    }
    const cursors: Cursor[] = [];
    for (const segment of segments) {
      const cursor = new Cursor(segment, streams);
      if (await cursor.load()) cursors.push(cursor);
    }
    while (cursors.length > 0) {
      // Of equal records the earlier segment's come first: its steps are the smaller ones.
      let first = cursors[0]!;
      for (let i = 1; i < cursors.length; i++) if (isBefore(cursors[i]!, first)) first = cursors[i]!;
      const { columns, stream } = first;
      const offset = columns.offsets[first.at]!;
      while (first.at < columns.count && columns.offsets[first.at] === offset) {
        writer.addPosting(stream, offset, columns.steps[first.at]!, columns.indices[first.at]!);
        first.at++;
      }
      if (first.at === columns.count && !(await first.load())) cursors.splice(cursors.indexOf(first), 1);
      if (writer.due) await writer.flush();
    }
    const { afterStep, afterDigest, afterJournal } = segments[0]!.footer;
    const { lastStep, headOffset, headDigest } = segments.at(-1)!.footer;
    await writer.finish({ afterStep, afterDigest, afterJournal, lastStep, headOffset, headDigest });
  } catch (error) {
    await writer.close().catch(() => undefined);
    throw error;
  }
}

function isBefore(a: Cursor, b: Cursor): boolean {
  return a.stream !== b.stream ? a.stream < b.stream : a.columns.offsets[a.at]! < b.columns.offsets[b.at]!;
}
