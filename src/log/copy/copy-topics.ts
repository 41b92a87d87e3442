import { RepulsorError } from '../../errors.ts';
import type { CopyTarget, Log } from '../log.ts';
import {
  type CopiedPartition,
  comparePartition,
  copyPartition,
  type OnCopied,
  type PartitionCut,
  type Standing,
  standingOf,
} from './copy-partition.ts';

export interface TopicCopy {
  readonly topic: string;
  /** The transactional id that may write it from then on, where the destination is a file log. */
  readonly writerId: string;
  /** Partition -> one past the last offset to copy. Default: the end as it is now. */
  readonly ends?: ReadonlyMap<number, number>;
}

export interface CopyOptions {
  /** The first offset wanted of each partition. */
  readonly from?: number | undefined;
  /** One past the last. */
  readonly to?: number | undefined;
  readonly onCopied?: OnCopied;
}

/** Who writes a topic that was copied by itself. */
export const copyWriterId = (topic: string): string => `copy.${topic}`;

/**
 * Copies topics with their offsets, timestamps, keys and headers, one after the other, then reads both logs and compares.
 * Interrupted at any instant it goes on where it was: the destination's own end says how far that is.
 * @throws RepulsorError STATE_MISMATCH, STATE_TRUNCATED, STATE_DAMAGED, FENCED, CONFIG
 */
export async function copyTopics(
  source: Log,
  target: Log & CopyTarget,
  topics: readonly TopicCopy[],
  options: CopyOptions = {},
): Promise<CopiedPartition[]> {
  const onCopied = options.onCopied ?? (() => undefined);
  const planned: { copy: TopicCopy; cuts: PartitionCut[] }[] = [];
  for (const copy of topics) planned.push({ copy, cuts: await cutsOf(source, copy, options) });
  // All of them, before anything is written.
  const there = new Set(await target.topics());
  for (const { copy, cuts } of planned) if (there.has(copy.topic)) await standingsOf(source, target, copy, cuts);
  const results: CopiedPartition[] = [];
  for (const { copy, cuts } of planned) {
    await target.createTopic(copy.topic, { partitions: cuts.length });
    const counts = await copyTopic(source, target, copy, cuts, onCopied);
    for (const [i, cut] of cuts.entries())
      results.push(await comparePartition(source, target, cut, counts[i]!, onCopied));
  }
  return results;
}

async function cutsOf(source: Log, { topic, ends }: TopicCopy, { from = 0, to }: CopyOptions): Promise<PartitionCut[]> {
  const cuts: PartitionCut[] = [];
  for (const partition of await source.partitions(topic)) {
    const { earliest, end: last } = await source.offsets(topic, partition);
    const end = Math.min(last, ends?.get(partition) ?? last, to ?? last);
    cuts.push({ topic, partition, start: Math.min(Math.max(earliest, from), end), end });
  }
  return cuts;
}

async function standingsOf(source: Log, target: Log, { topic }: TopicCopy, cuts: PartitionCut[]): Promise<Standing[]> {
  const partitions = await target.partitions(topic);
  if (partitions.length !== cuts.length)
    throw new RepulsorError(
      'STATE_MISMATCH',
      `${topic} has ${partitions.length} partitions in ${target.url}, the original has ${cuts.length}`,
      { hint: 'Nothing was changed. Add the partitions there, or copy into another log.' },
    );
  const standings: Standing[] = [];
  for (const cut of cuts) standings.push(await standingOf(source, target, cut));
  return standings;
}

async function copyTopic(
  source: Log,
  target: Log & CopyTarget,
  copy: TopicCopy,
  cuts: PartitionCut[],
  onCopied: OnCopied,
): Promise<number[]> {
  const before = await standingsOf(source, target, copy, cuts);
  // A topic that is whole has its writer undisturbed: it may be in use by now.
  const whole = cuts.every((cut, i) => !before[i]!.fresh && before[i]!.from === cut.end);
  if (whole) return cuts.map(() => 0);
  const writer = await target.exactWriter(copy.topic, copy.writerId);
  try {
    // Again: whoever wrote it until now, a copy that was stopped most likely, can no more.
    const standings = await standingsOf(source, target, copy, cuts);
    const counts: number[] = [];
    for (const [i, cut] of cuts.entries())
      counts.push(await copyPartition(source, writer, cut, standings[i]!, onCopied));
    return counts;
  } finally {
    await writer.close();
  }
}
