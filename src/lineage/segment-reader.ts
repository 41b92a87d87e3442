import { type FileHandle, open } from 'node:fs/promises';
import { readFully } from '../files/durable-file.ts';
import { checksum } from '../log/file/crc.ts';
import { BlockColumns } from './posting-block.ts';
import {
  BLOCK_ENTRY,
  type BlockEntry,
  COMMIT_ROW,
  type CommitRow,
  decodeCommitRow,
  decodeFooter,
  encodeMagic,
  FOOTER,
  MAGIC,
  readBlockEntry,
  type SegmentFooter,
  type StreamName,
} from './segment-format.ts';
import { commitPosition } from './segment-writer.ts';

const ROWS_AT_ONCE = 1024;

/** The index is not what was written. It is not needed to know what is true, so whoever meets this builds it anew. */
export class IndexDamaged extends Error {}

/** Answers out of one segment by a few short reads; all that it reads is checked. */
export class SegmentReader {
  readonly path: string;
  readonly footer: SegmentFooter;
  readonly streams: readonly StreamName[];
  readonly #file: FileHandle;
  readonly #tables: Buffer;
  readonly #columns = new BlockColumns();

  private constructor(
    path: string,
    file: FileHandle,
    footer: SegmentFooter,
    tables: Buffer,
    streams: readonly StreamName[],
  ) {
    this.path = path;
    this.#file = file;
    this.footer = footer;
    this.#tables = tables;
    this.streams = streams;
  }

  /** @throws IndexDamaged, and the system's error when it is not there */
  static async open(path: string): Promise<SegmentReader> {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const magic = await readFully(file, Buffer.alloc(MAGIC), 0);
      const footer = decodeFooter(await readFully(file, Buffer.alloc(FOOTER), Math.max(0, size - FOOTER)));
      if (!magic.equals(encodeMagic()) || footer === null) throw new IndexDamaged(`${path} has no valid frame`);
      const length = footer.blocks * BLOCK_ENTRY + footer.streamBytes;
      if (footer.directory + length + FOOTER !== size) throw new IndexDamaged(`${path} has another length`);
      const tables = await readFully(file, Buffer.alloc(length), footer.directory);
      if (checksum(0, tables) !== footer.tablesCrc) throw new IndexDamaged(`${path}: its tables do not check`);
      const names = JSON.parse(tables.toString('utf8', footer.blocks * BLOCK_ENTRY)) as [string, number][];
      const streams = names.map(([topic, partition]) => ({ topic, partition }));
      return new SegmentReader(path, file, footer, tables, streams);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** The postings of one record, ascending by step. */
  async postingsOf({ topic, partition }: StreamName, offset: number): Promise<{ step: number; index: number }[]> {
    const found: { step: number; index: number }[] = [];
    const stream = this.streams.findIndex((name) => name.topic === topic && name.partition === partition);
    if (stream < 0) return found;
    for (let i = this.#firstBlockOf(stream, offset); i < this.footer.blocks; i++) {
      const entry = this.entry(i);
      if (entry.stream !== stream || entry.offset > offset) break;
      await this.readBlock(entry, this.#columns);
      const { offsets, steps, indices, count } = this.#columns;
      for (let at = 0; at < count; at++)
        if (offsets[at] === offset) found.push({ step: steps[at]!, index: indices[at]! });
    }
    return found;
  }

  /** The last block that begins before the record, which may reach into it. */
  #firstBlockOf(stream: number, offset: number): number {
    let low = 0;
    let high = this.footer.blocks;
    while (low < high) {
      const middle = (low + high) >> 1;
      const entry = this.entry(middle);
      if (entry.stream < stream || (entry.stream === stream && entry.offset < offset)) low = middle + 1;
      else high = middle;
    }
    return low > 0 && this.entry(low - 1).stream === stream ? low - 1 : low;
  }

  entry(i: number): BlockEntry {
    return readBlockEntry(this.#tables, i * BLOCK_ENTRY);
  }

  /** @throws IndexDamaged */
  async readBlock(entry: BlockEntry, into: BlockColumns): Promise<void> {
    const bytes = await readFully(this.#file, Buffer.alloc(entry.bytes), entry.position);
    if (bytes.length !== entry.bytes || checksum(0, bytes) !== entry.crc)
      throw new IndexDamaged(`${this.path}: the block at byte ${entry.position} does not check`);
    try {
      into.decode(bytes, entry.postings, entry.offset);
    } catch (cause) {
      throw new IndexDamaged(`${this.path}: the block at byte ${entry.position} does not decode`, { cause });
    }
  }

  /** @throws IndexDamaged */
  async commit(i: number): Promise<CommitRow> {
    const row = decodeCommitRow(await readFully(this.#file, Buffer.alloc(COMMIT_ROW), commitPosition(i)));
    if (row === null) throw new IndexDamaged(`${this.path}: commit ${i} does not check`);
    return row;
  }

  /** All of them, in order. @throws IndexDamaged */
  async *commits(): AsyncGenerator<CommitRow> {
    for (let first = 0; first < this.footer.commits; first += ROWS_AT_ONCE) {
      const count = Math.min(ROWS_AT_ONCE, this.footer.commits - first);
      const rows = await readFully(this.#file, Buffer.alloc(count * COMMIT_ROW), commitPosition(first));
      for (let i = 0; i < count; i++) {
        const row = decodeCommitRow(rows.subarray(i * COMMIT_ROW, (i + 1) * COMMIT_ROW));
        if (row === null) throw new IndexDamaged(`${this.path}: commit ${first + i} does not check`);
        yield row;
      }
    }
  }

  /** The first commit whose step is at least `step`, and what stood before it. */
  async commitOf(step: number): Promise<{ row: CommitRow; before: { step: number; digest: Uint8Array } }> {
    let low = 0;
    let high = this.footer.commits - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((await this.commit(middle)).step < step) low = middle + 1;
      else high = middle;
    }
    const row = await this.commit(low);
    if (low === 0) return { row, before: { step: this.footer.afterStep, digest: this.footer.afterJournal } };
    const previous = await this.commit(low - 1);
    return { row, before: { step: previous.step, digest: previous.journalDigest } };
  }
}
