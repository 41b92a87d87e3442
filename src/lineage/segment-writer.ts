import { type FileHandle, open } from 'node:fs/promises';
import { checksum } from '../log/file/crc.ts';
import { BlockEncoder } from './posting-block.ts';
import {
  BLOCK_ENTRY,
  type BlockEntry,
  COMMIT_ROW,
  type CommitRow,
  encodeCommitRow,
  encodeFooter,
  encodeMagic,
  MAGIC,
  type SegmentFooter,
  type StreamName,
  writeBlockEntry,
} from './segment-format.ts';

/** Held before it is written: what a segment being written takes, beside its directory. */
const BUFFERED = 1024 * 1024;

/** What a segment's stretch of the lineage is. */
export type Stretch = Pick<
  SegmentFooter,
  'afterStep' | 'lastStep' | 'headOffset' | 'afterDigest' | 'afterJournal' | 'headDigest'
>;

/** Writes one segment: the commits, then the postings in the order of (stream, offset, step). */
export class SegmentWriter {
  readonly #file: FileHandle;
  readonly #streams: readonly StreamName[];
  readonly #entries: BlockEntry[] = [];
  readonly #block = new BlockEncoder();
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #position = 0;
  #stream = 0;
  #commits = 0;
  #postings = 0;

  private constructor(file: FileHandle, streams: readonly StreamName[]) {
    this.#file = file;
    this.#streams = streams;
    this.#put(encodeMagic());
  }

  /** `streams`: sorted; what the postings' stream counts into. The file must not be there yet. */
  static async create(path: string, streams: readonly StreamName[]): Promise<SegmentWriter> {
    return new SegmentWriter(await open(path, 'wx'), streams);
  }

  /** Before any posting. */
  addCommit(row: CommitRow): void {
    this.#put(encodeCommitRow(row));
    this.#commits++;
  }

  addPosting(stream: number, offset: number, step: number, index: number): void {
    if (this.#block.full || (this.#block.count > 0 && stream !== this.#stream)) this.#closeBlock();
    this.#stream = stream;
    this.#block.add(offset, step, index);
    this.#postings++;
  }

  /** Whether `flush` should be awaited before more comes. */
  get due(): boolean {
    return this.#pendingBytes >= BUFFERED;
  }

  async flush(): Promise<void> {
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    await this.#file.writeFile(bytes);
  }

  /** Durable when it resolves, under a name that nobody has been told yet. */
  async finish(stretch: Stretch): Promise<void> {
    if (this.#block.count > 0) this.#closeBlock();
    const directory = this.#position;
    const entries = Buffer.alloc(this.#entries.length * BLOCK_ENTRY);
    for (const [i, entry] of this.#entries.entries()) writeBlockEntry(entries, i * BLOCK_ENTRY, entry);
    const streams = Buffer.from(JSON.stringify(this.#streams.map(({ topic, partition }) => [topic, partition])));
    const tables = Buffer.concat([entries, streams]);
    this.#put(tables);
    this.#put(
      encodeFooter({
        ...stretch,
        commits: this.#commits,
        postings: this.#postings,
        directory,
        blocks: this.#entries.length,
        streamBytes: streams.length,
        tablesCrc: checksum(0, tables),
      }),
    );
    await this.flush();
    await this.#file.sync();
    await this.close();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #closeBlock(): void {
    const { count: postings, firstOffset: offset } = this.#block;
    const bytes = this.#block.take();
    const position = this.#position;
    this.#entries.push({
      stream: this.#stream,
      postings,
      offset,
      position,
      bytes: bytes.length,
      crc: checksum(0, bytes),
    });
    this.#put(bytes);
  }

  #put(bytes: Uint8Array): void {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    this.#position += bytes.length;
  }
}

/** Where commit number `i` of a segment lies. */
export const commitPosition = (i: number): number => MAGIC + i * COMMIT_ROW;
