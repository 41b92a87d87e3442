import type { NeededRecord } from '../checkpoint/needed-records.ts';
import type { OffsetRange, TopicKeeping } from '../log/log.ts';

/** How far retention is from a record that is needed. */
export interface Headroom extends NeededRecord {
  /** Offsets between the earliest still there and the needed one; below 0: so many are gone. */
  readonly records: number;
  /** Until the needed record's age passes the topic's limit, at least; null where there is none. */
  readonly seconds: number | null;
  /** Bytes that may be written until the partition's size passes the topic's limit, about; null where there is none. */
  readonly bytes: number | null;
  /** The part of the tighter limit that is left, 0 to 1; 1 without limits, 0 when records are gone. */
  readonly share: number;
}

export interface Measured {
  readonly range: OffsetRange;
  readonly keeping: TopicKeeping;
  /** Of the needed record, or of the first behind it, in milliseconds since the epoch; null when not known. */
  readonly timestamp: number | null;
  /** Stored of the partition; null when not known. */
  readonly storedBytes: number | null;
}

/** `now`: milliseconds since the epoch. What is needed but not written yet cannot be removed: it has all of the limit. */
export function headroomOf(
  needed: NeededRecord,
  { range, keeping, timestamp, storedBytes }: Measured,
  now: number,
): Headroom {
  const { earliest, end } = range;
  const { retentionMs, retentionBytes } = keeping;
  const records = needed.offset - earliest;
  const ahead = needed.offset >= end;
  const left: number[] = [records < 0 ? 0 : 1];
  let seconds: number | null = null;
  if (retentionMs !== null && (ahead || timestamp !== null)) {
    const ms = ahead ? retentionMs : Math.min(retentionMs, Math.max(0, timestamp! + retentionMs - now));
    seconds = ms / 1000;
    left.push(retentionMs === 0 ? 0 : ms / retentionMs);
  }
  let bytes: number | null = null;
  if (retentionBytes !== null && (ahead || storedBytes !== null)) {
    // The records differ in size: their share of the offsets stands for their share of the bytes.
    const behind = ahead ? 0 : storedBytes! * Math.min(1, (end - needed.offset) / (end - earliest));
    bytes = Math.max(0, Math.round(retentionBytes - behind));
    left.push(retentionBytes === 0 ? 0 : bytes / retentionBytes);
  }
  return { ...needed, records, seconds, bytes, share: Math.min(...left) };
}

export type Danger = 'none' | 'near' | 'gone';

/** Left of a limit when it is near, and when it is no longer: between the two a danger stays what it was. */
const NEAR = 0.2;
const SAFE = 0.25;

export function dangerOf({ records, share }: Headroom, before: Danger): Danger {
  if (records < 0) return 'gone';
  if (share < NEAR) return 'near';
  return share < SAFE && before === 'near' ? 'near' : 'none';
}
