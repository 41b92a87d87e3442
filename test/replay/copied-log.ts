import { createHash } from 'node:crypto';
import { ZERO_DIGEST } from '../../src/checkpoint/digest.ts';
import { type RunTopics, runTopics } from '../../src/checkpoint/run-id.ts';
import type { Commit } from '../../src/codec/records.ts';
import { decode, encode } from '../../src/codec/single-object.ts';
import type { Log, NewRecord } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import { TOPIC } from '../trainer/tiny-run.ts';

/** What becomes of a partition's records; null leaves the topic out. */
type Change = (topic: keyof RunTopics | 'images', records: NewRecord[]) => NewRecord[] | null;

/** A copy of a run's log in a new folder, offset for offset, with its records changed on the way. */
export async function copyChanged(from: Log, run: string, folder: string, change: Change): Promise<Log> {
  const to = await openLog(`file:${folder}`);
  const topics: [keyof RunTopics | 'images', string][] = [
    ['images', TOPIC],
    ...(Object.entries(runTopics(run)) as [keyof RunTopics, string][]),
  ];
  for (const [kind, topic] of topics) {
    const partitions = await from.partitions(topic);
    for (const partition of partitions) {
      const changed = change(kind, await allRecords(from, topic, partition));
      if (changed === null) continue;
      await to.createTopic(topic, { partitions: partitions.length });
      if (changed.length > 0) await to.append(topic, changed);
    }
  }
  return to;
}

async function allRecords(log: Log, topic: string, partition: number): Promise<NewRecord[]> {
  const { earliest, end } = await log.offsets(topic, partition);
  if (earliest !== 0) throw new Error(`${topic}/${partition} does not begin at 0`);
  const range = { from: new Map([[partition, 0]]), to: new Map([[partition, end]]) };
  const records: NewRecord[] = [];
  for await (const { offset, timestamp, key, value, headers } of log.read(topic, range)) {
    if (offset !== records.length) throw new Error(`${topic}/${partition} has gaps`);
    records.push({ partition, timestamp, key, value, headers });
  }
  return records;
}

/** Changes the settings that every commit says it was trained with, and mends the chain of the commits' digests. */
export function withSettings(change: (config: Record<string, never>) => unknown): Change {
  return (kind, records) => {
    if (kind !== 'commits') return records;
    const digests = new Map<string, Uint8Array>([[hex(ZERO_DIGEST), ZERO_DIGEST]]);
    return records.map((record) => {
      const commit: Commit = decode('commit', record.value!);
      const config = JSON.parse(commit.config);
      change(config);
      const previous = digests.get(hex(commit.previous))!;
      const value = encode('commit', { ...commit, config: JSON.stringify(config), previous });
      digests.set(hex(digest(record.value!)), digest(value));
      return { ...record, value };
    });
  };
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
