import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll } from 'vitest';
import type { Log, LogRecord, NewRecord } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import { kafkaForTests } from './kafka-broker.ts';
import { bytes, textOf } from './text.ts';

/** One implementation of the log, as the contract suite uses it. */
export interface LogUnderTest {
  readonly name: 'file' | 'kafka';
  readonly url: string;
  /** Another client of the same log. Closed when the file's tests are over. */
  open(): Promise<Log>;
  /** Has everything before the partition's end removed, as retention does. */
  truncate(log: Log, topic: string): Promise<void>;
  /** The most bytes that one record may have by default. */
  readonly largeRecord: number;
}

export async function fileLogUnderTest(): Promise<LogUnderTest> {
  const dir = await mkdtemp(join(tmpdir(), 'repulsor-log-'));
  const url = `file:${dir}`;
  const opened: Log[] = [];
  afterAll(async () => {
    for (const log of opened) await log.close();
    await rm(dir, { recursive: true, force: true });
  });
  const open = async (): Promise<Log> => {
    const log = await openLog(url, { file: { segmentBytes: 256 * 1024 } });
    opened.push(log);
    return log;
  };
  return {
    name: 'file',
    url,
    open,
    largeRecord: 9_000_000,
    // The topic was made with a short retention and its records are old: the next segment ends the first one's life.
    truncate: async (log, topic) => {
      await log.append(topic, [{ value: new Uint8Array(300_000), timestamp: 1 }]);
      await log.append(topic, [{ value: new Uint8Array(1) }]);
    },
  };
}

export async function kafkaLogUnderTest(): Promise<LogUnderTest | null> {
  const url = await kafkaForTests();
  if (url === null) return null;
  const opened: Log[] = [];
  afterAll(async () => {
    for (const log of opened) await log.close();
  });
  return {
    name: 'kafka',
    url,
    open: async () => {
      const log = await openLog(url);
      opened.push(log);
      return log;
    },
    largeRecord: 900_000,
    truncate: async (log, topic) => {
      const { end } = await log.offsets(topic, 0);
      const admin = new Kafka({ brokers: [url.slice('kafka://'.length)], logLevel: logLevel.NOTHING }).admin();
      await admin.connect();
      await admin.fetchTopicOffsets(topic); // loads the metadata that the next call needs
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(end) }] });
      await admin.disconnect();
    },
  };
}

let topics = 0;
/** A name that no other test, and no other run against the same broker, has used. */
export const newName = (what: string): string => `${what}-${process.pid}-${Date.now().toString(36)}-${topics++}`;

export { bytes, textOf };
export const values = (...texts: string[]): NewRecord[] => texts.map((text) => ({ value: bytes(text) }));

export async function collect(
  records: AsyncIterable<LogRecord>,
  most = Number.POSITIVE_INFINITY,
): Promise<LogRecord[]> {
  const collected: LogRecord[] = [];
  if (most === 0) return collected;
  for await (const record of records) {
    collected.push(record);
    if (collected.length >= most) break;
  }
  return collected;
}

/** All that is committed, in the order of a bounded read. */
export async function readAll(log: Log, topic: string): Promise<LogRecord[]> {
  const from = new Map<number, number>();
  const to = new Map<number, number>();
  for (const partition of await log.partitions(topic)) {
    const { earliest, end } = await log.offsets(topic, partition);
    from.set(partition, earliest);
    to.set(partition, end);
  }
  return collect(log.read(topic, { from, to }));
}

export const textsOf = async (log: Log, topic: string): Promise<(string | null)[]> =>
  (await readAll(log, topic)).map(({ value }) => textOf(value));
