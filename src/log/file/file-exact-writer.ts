import { join } from 'node:path';
import { createExclusively } from '../../files/durable-file.ts';
import type { ExactWriter, LogRecord } from '../log.ts';
import { asLogError } from './file-errors.ts';
import type { FileWriter } from './file-transaction.ts';
import { startName } from './layout.ts';

/** Writes a topic of a file log at given offsets: each write is one transaction of the topic's writer. */
export class FileExactWriter implements ExactWriter {
  readonly #topic: string;
  readonly #writer: FileWriter;
  readonly #folders: readonly string[];

  constructor(topic: string, writer: FileWriter, folders: readonly string[]) {
    this.#topic = topic;
    this.#writer = writer;
    this.#folders = folders;
  }

  /** The end moves first: a partition that begins behind its end would be no partition. */
  async begin(partition: number, start: number): Promise<void> {
    if (start === 0) return;
    await this.write(partition, [], start);
    const path = join(this.#folders[partition]!, startName(start));
    await asLogError(`beginning ${this.#topic} at ${start}`, () => createExclusively(path, Buffer.alloc(0)));
  }

  async write(partition: number, records: readonly LogRecord[], end: number): Promise<void> {
    const transaction = await this.#writer.begin();
    await transaction.appendExactly(this.#topic, partition, records, end);
    await transaction.commit();
  }

  close(): Promise<void> {
    return this.#writer.close();
  }
}
