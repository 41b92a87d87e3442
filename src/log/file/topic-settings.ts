import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { RepulsorError } from '../../errors.ts';
import { createExclusively, isCode, makeFolder } from '../../files/durable-file.ts';
import type { TopicSettings } from '../log.ts';
import { checksum } from './crc.ts';
import {
  checkTopicName,
  ownerFile,
  parseSegmentName,
  partitionFolder,
  topicFile,
  topicFolder,
  topicsFolder,
} from './layout.ts';

/*
 * topic.json, owner.json = crc SP json LF     crc: CRC-32 of json, 8 hex digits
 *                        | json LF            as written before there were checksums
 *
 * Both are there before a partition's first segment is, so a topic with segments and without them is damaged.
 */

export interface StoredTopic {
  readonly version: 1;
  readonly partitions: number;
  readonly retentionMs: number | null;
  /** Made with the topic; absent in topics of version 0.1. */
  readonly id?: string;
}

/** Who may write a topic, settled by its first append and for good. */
export type TopicOwner = { readonly by: 'append' } | { readonly by: 'transactions'; readonly id: string };

export async function storeTopic(root: string, topic: string, settings: TopicSettings): Promise<void> {
  checkTopicName(topic);
  const { partitions = 1, retentionMs = null } = settings;
  if (!Number.isSafeInteger(partitions) || partitions < 1 || partitions > 10_000) {
    throw new RepulsorError('CONFIG', `topic ${topic} cannot have ${partitions} partitions`, {
      hint: 'Ask for 1 to 10000.',
    });
  }
  if (retentionMs !== null && !(retentionMs > 0)) {
    throw new RepulsorError('CONFIG', `topic ${topic} cannot keep records for ${retentionMs} ms`, {
      hint: 'Give a positive number of milliseconds, or null to keep them forever.',
    });
  }
  if ((await readSettings(topicFile(root, topic))) === null) await demandEmpty(root, topic, topicFile(root, topic));
  for (let partition = 0; partition < partitions; partition++) {
    await makeFolder(partitionFolder(root, topic, partition));
  }
  const stored: StoredTopic = { version: 1, partitions, retentionMs, id: randomUUID() };
  await createExclusively(topicFile(root, topic), encodeSettings(stored));
}

/** @throws RepulsorError TOPIC_MISSING */
export async function loadTopic(root: string, topic: string): Promise<StoredTopic> {
  checkTopicName(topic);
  const stored = (await readSettings(topicFile(root, topic))) as StoredTopic | null;
  if (stored === null) {
    await demandEmpty(root, topic, topicFile(root, topic));
    throw new RepulsorError('TOPIC_MISSING', `there is no topic ${topic} in ${root}`, {
      hint: 'Check the name, or make the topic first (`repulsor ingest` does).',
    });
  }
  if (stored.version === 1) return stored;
  throw new RepulsorError('FORMAT_NEWER', `topic ${topic} in ${root} has format version ${stored.version}`, {
    hint: 'This version reads version 1; update it.',
  });
}

/** @throws RepulsorError TOPIC_MISSING */
export function demandPartition(topic: string, { partitions }: StoredTopic, partition: number): void {
  if (Number.isSafeInteger(partition) && partition >= 0 && partition < partitions) return;
  throw new RepulsorError('TOPIC_MISSING', `topic ${topic} has no partition ${partition}`, {
    hint: `It has partitions 0 to ${partitions - 1}.`,
  });
}

export async function listTopics(root: string): Promise<string[]> {
  const topics: string[] = [];
  for (const entry of await readdir(topicsFolder(root), { withFileTypes: true })) {
    if (entry.isDirectory() && (await readSettings(topicFile(root, entry.name))) !== null) topics.push(entry.name);
  }
  return topics.sort();
}

/** Null for a topic that nobody has written to. @throws RepulsorError STATE_MISSING when somebody has */
export async function loadOwner(root: string, topic: string): Promise<TopicOwner | null> {
  const owner = (await readSettings(ownerFile(root, topic))) as TopicOwner | null;
  if (owner === null) await demandEmpty(root, topic, ownerFile(root, topic));
  return owner;
}

/** @throws RepulsorError STATE_MISSING when the topic holds segments: then `missing` was there */
async function demandEmpty(root: string, topic: string, missing: string): Promise<void> {
  const names = await readdir(topicFolder(root, topic), { recursive: true }).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  });
  if (!names.some((name) => parseSegmentName(basename(name)) !== null)) return;
  // Written between the two looks.
  if ((await readSettings(missing)) !== null) return;
  throw new RepulsorError('STATE_MISSING', `${missing} is missing, but topic ${topic} holds records`, {
    hint: 'Restore the file from a copy: the records cannot be read without it, and nothing was written over them.',
  });
}

/** Makes the topic `owner`'s unless it has one. @throws RepulsorError CONFIG when that is another. */
export async function claimTopic(root: string, topic: string, owner: TopicOwner): Promise<void> {
  const path = ownerFile(root, topic);
  if ((await loadOwner(root, topic)) === null) await createExclusively(path, encodeSettings(owner));
  const settled = (await loadOwner(root, topic))!;
  if (JSON.stringify(settled) === JSON.stringify(owner)) return;
  const by = settled.by === 'append' ? 'plain appends' : `transactions of ${settled.id}`;
  const wanted = owner.by === 'append' ? 'a plain append' : `a transaction of ${owner.id}`;
  throw new RepulsorError(
    'CONFIG',
    `topic ${topic} in ${topicFolder(root, topic)} is written by ${by}, not by ${wanted}`,
    {
      hint: 'A topic of a file log has one kind of writer for good: use another topic.',
    },
  );
}

function encodeSettings(settings: object): Buffer {
  const json = JSON.stringify(settings);
  return Buffer.from(`${hexChecksum(json)} ${json}\n`);
}

async function readSettings(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT') || isCode(error, 'ENOTDIR')) return null;
    throw error;
  }
  const plain = text.startsWith('{');
  const json = plain ? text : text.slice(9, -1);
  try {
    if (!plain && text !== `${hexChecksum(json)} ${json}\n`) throw new Error('its checksum does not match');
    return JSON.parse(json);
  } catch (error) {
    throw new RepulsorError('STATE_DAMAGED', `${path} is damaged: ${(error as Error).message}`, {
      hint: 'Restore the file from a copy.',
      cause: error,
    });
  }
}

const hexChecksum = (text: string): string => checksum(0, Buffer.from(text)).toString(16).padStart(8, '0');
