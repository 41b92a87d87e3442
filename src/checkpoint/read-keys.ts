import type { Commit } from '../codec/records.ts';
import type { Log } from '../log/log.ts';
import { readRange } from '../log/read-range.ts';
import { decodeNegatives } from './read-queue.ts';

/** The keys that one step put into the queue. */
export interface StepKeys {
  readonly step: number;
  /** (rows, dim) */
  readonly keys: Float32Array;
}

/**
 * The keys of a commit's steps as the negatives topic holds them, in order; none when the run has no queue.
 * @throws RepulsorError STATE_DAMAGED, and what the log throws
 */
export async function* readKeys(log: Log, topic: string, { negatives }: Commit): AsyncGenerator<StepKeys> {
  if (negatives.capacity === 0 || negatives.begin >= negatives.end) return;
  // A step with many rows has several records.
  let step: number | null = null;
  let parts: Uint8Array[] = [];
  for await (const { offset, value } of readRange(log, topic, 0, negatives.begin, negatives.end)) {
    const record = decodeNegatives(topic, offset, value, negatives);
    if (step !== null && record.step !== step) {
      yield { step, keys: joined(parts) };
      parts = [];
    }
    step = record.step;
    parts.push(record.keys);
  }
  if (step !== null) yield { step, keys: joined(parts) };
}

function joined(parts: readonly Uint8Array[]): Float32Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return new Float32Array(bytes.buffer);
}
