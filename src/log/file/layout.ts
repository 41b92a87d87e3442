import { join } from 'node:path';
import { RepulsorError } from '../../errors.ts';

/*
 * What lies where under DIR of `file:DIR`. Offsets and slots are padded so that names sort as numbers do.
 *
 *   topics/TOPIC/topic.json                    partitions, retention; published last, so a topic is whole or not there
 *   topics/TOPIC/owner.json                    who may write it: plain appends, or one transactional id
 *   topics/TOPIC/writer-NUMBER.lock            plain appends only: the lock (writer-lock.ts)
 *   topics/TOPIC/PARTITION/BASE-EPOCH.seg      a segment; EPOCH is 0 for plain appends
 *   topics/TOPIC/PARTITION/OFFSET.start        retention removed what lies before; the highest one counts
 *   ids/ID/SLOT.entry, ids/ID/SLOT.chain       a transactional id's takeovers and commits (chain.ts)
 */

const OFFSET_DIGITS = 16; // 2^53 - 1 has 16
const EPOCH_DIGITS = 10;

export const topicsFolder = (root: string): string => join(root, 'topics');
export const topicFolder = (root: string, topic: string): string => join(root, 'topics', topic);
export const topicFile = (root: string, topic: string): string => join(root, 'topics', topic, 'topic.json');
export const ownerFile = (root: string, topic: string): string => join(root, 'topics', topic, 'owner.json');
export const partitionFolder = (root: string, topic: string, partition: number): string =>
  join(root, 'topics', topic, String(partition));

/** Escaped so that any id is one folder name, never a hidden or a parent folder. */
export const idFolder = (root: string, id: string): string =>
  join(root, 'ids', encodeURIComponent(id).replaceAll('.', '%2E').replaceAll('*', '%2A'));

export interface SegmentName {
  readonly base: number;
  readonly epoch: number;
}

export const segmentName = ({ base, epoch }: SegmentName): string =>
  `${String(base).padStart(OFFSET_DIGITS, '0')}-${String(epoch).padStart(EPOCH_DIGITS, '0')}.seg`;

export function parseSegmentName(name: string): SegmentName | null {
  const match = /^(\d{16})-(\d{10})\.seg$/.exec(name);
  return match === null ? null : { base: Number(match[1]), epoch: Number(match[2]) };
}

export const startName = (offset: number): string => `${String(offset).padStart(OFFSET_DIGITS, '0')}.start`;

export function parseStartName(name: string): number | null {
  const match = /^(\d{16})\.start$/.exec(name);
  return match === null ? null : Number(match[1]);
}

/** Kafka's rule, so that a topic can be copied either way. @throws RepulsorError CONFIG */
export function checkTopicName(topic: string): void {
  if (/^[a-zA-Z0-9._-]{1,249}$/.test(topic) && topic !== '.' && topic !== '..') return;
  throw new RepulsorError('CONFIG', `"${topic}" is no topic name`, {
    hint: 'Use 1 to 249 letters, digits, ".", "_" or "-", and not "." or "..".',
  });
}
