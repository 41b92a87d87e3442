import { BadRecord } from '../../codec/bad-record.ts';
import { isConfluent } from '../../codec/confluent.ts';
import { type ImageBatchReader, imageBatchReader } from '../../codec/image-batch-reader.ts';
import { RECORD_KINDS } from '../../codec/records.ts';
import { decode } from '../../codec/single-object.ts';
import type { Log, LogRecord } from '../../log/log.ts';
import { readRange } from '../../log/read-range.ts';
import type { View } from '../view.ts';

/**
 * Some records of a partition, each decoded if it is of a kind that this project writes, or image-batch in the format of
 * Confluent's serializers: `read` has their registry.
 */
export async function showRecords(
  log: Log,
  topic: string,
  { partition, from, count }: { readonly partition: number; readonly from?: number; readonly count: number },
  read: ImageBatchReader = imageBatchReader(null),
): Promise<View> {
  const { earliest, end } = await log.offsets(topic, partition);
  const records: object[] = [];
  for await (const record of readRange(log, topic, partition, from ?? earliest, end)) {
    records.push(await shown(record, read));
    if (records.length >= count) break;
  }
  const found = { topic, partition, earliest, end, records };
  return { found, text: records.map((record) => JSON.stringify(record, shortened)).join('\n') };
}

/** Long lists by how they begin: a line a record is for reading. `--json` has all of them. */
function shortened(_name: string, value: unknown): unknown {
  return Array.isArray(value) && value.length > LONGEST_LIST
    ? [...value.slice(0, SHOWN_ITEMS), `${value.length - SHOWN_ITEMS} more`]
    : value;
}

const LONGEST_LIST = 8;
const SHOWN_ITEMS = 2;

async function shown({ offset, timestamp, key, value, headers }: LogRecord, read: ImageBatchReader): Promise<object> {
  const time = new Date(timestamp).toISOString();
  const rest = { key: readable(key), headers: readable(headers) };
  if (value === null) return { offset, time, ...rest, tombstone: true };
  if (isConfluent(value)) {
    try {
      return { offset, time, ...rest, kind: 'image-batch', value: readable(await read(value)) };
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error;
      return { offset, time, ...rest, kind: null, unreadable: error.message, value: readable(value) };
    }
  }
  for (const kind of RECORD_KINDS) {
    try {
      return { offset, time, ...rest, kind, value: readable(decode(kind, value)) };
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error;
    }
  }
  return { offset, time, ...rest, kind: null, value: readable(value) };
}

const SHOWN_BYTES = 32;

/** Bytes as their number and how they begin: an image is not for reading. */
function readable(value: unknown): unknown {
  if (value instanceof Uint8Array) {
    const start = Buffer.from(value.subarray(0, SHOWN_BYTES)).toString('hex');
    return `${value.length} bytes: ${start}${value.length > SHOWN_BYTES ? '...' : ''}`;
  }
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, readable(part)]));
  return value;
}
