import type { Need } from '../checkpoint/needed-records.ts';
import type { TopicKeeping } from '../log/log.ts';
import { gapOf } from '../log/offset-errors.ts';
import type { Danger, Headroom } from './headroom.ts';

const FOR: Readonly<Record<Exclude<Need, 'archive'>, string>> = {
  resume: 'the next start of this run',
  replay: 'a replay from the oldest kept commit',
  history: 'replay from the first step, time travel and lineage',
};

/** What to tell when the danger to what a topic holds for a need has changed. `worst`: its partition with the least left. */
export function changeInWords(danger: Danger, worst: Headroom): string {
  const { topic, partition, offset, need, records, seconds, bytes } = worst;
  const where = `${topic}, partition ${partition}`;
  const limits = [
    ...(seconds === null ? [] : [`in about ${duration(seconds)} by age (retention.ms)`]),
    ...(bytes === null ? [] : [`after about ${bytes} more bytes (retention.bytes)`]),
  ].join(' or ');
  if (need === 'archive') {
    const then = 'operators.mix draws from what is left, and steps that drew what is gone cannot be replayed';
    if (danger === 'gone') return `${where}: ${gapOf(offset, offset - records)}; ${then}`;
    return `${where}: offset ${offset}, the oldest that operators.mix draws, may be removed ${limits}; then ${then}`;
  }
  if (danger === 'none') return `${where}: retention is far again from what ${FOR[need]} needs`;
  if (danger === 'gone')
    return `${where}: ${gapOf(offset, offset - records)}; ${FOR[need]} needs them${need === 'resume' ? ' and would be refused' : ''}`;
  return `${where}: retention comes near offset ${offset}, which ${FOR[need]} needs: it may be removed ${limits}; lengthen the topic's retention`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} seconds`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} minutes`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} hours` : `${Math.round(seconds / 86_400)} days`;
}

/** What of a topic's settings may cost the run a record that it needs; empty when nothing. */
export function unfitSettings(topic: string, kind: 'input' | 'own', keeping: TopicKeeping): string[] {
  const { retentionMs, retentionBytes, compacted, maxRecordBytes } = keeping;
  const found: string[] = [];
  if (compacted)
    found.push(
      kind === 'own'
        ? `${topic} is compacted, which removes what recovery needs: set its cleanup.policy to delete`
        : `${topic} is compacted: records may be removed that a resume or a replay needs; set its cleanup.policy to delete`,
    );
  if (kind === 'input') return found;
  if (retentionMs !== null)
    found.push(`${topic} removes records after ${duration(retentionMs / 1000)}: set its retention.ms to -1`);
  if (retentionBytes !== null)
    found.push(`${topic} removes records past ${retentionBytes} bytes: set its retention.bytes to -1`);
  if (maxRecordBytes !== null && maxRecordBytes < LEAST_RECORD_BYTES)
    found.push(
      `${topic} takes records of ${maxRecordBytes} bytes at most: set its max.message.bytes to ${LEAST_RECORD_BYTES} or more`,
    );
  return found;
}

/** Negatives come in records of half a mebibyte; Kafka's default is twice that. */
const LEAST_RECORD_BYTES = 1_048_588;
