import { defer, type OperatorFunction } from 'rxjs';
import type { DeadLetter } from '../codec/records.ts';
import { RepulsorError } from '../errors.ts';
import { Gate } from './gate.ts';
import { inOrder } from './in-order.ts';
import type { DecodedRecord, Rejection } from './sample.ts';

export interface DeadLetterSettings {
  /** Keeps the rejections of one record; what comes after waits for it. An error of its own ends the stream. */
  readonly sink?: (rejections: readonly Rejection[]) => void | Promise<void>;
  /** Default: none. */
  readonly limit?: BadRecordLimit;
  /** Held while the sink works. */
  readonly intake?: Gate;
}

/** The stream fails when the bad among the last `over` records exceed `share` of `over`. 1 never fails. */
export interface BadRecordLimit {
  readonly share: number;
  readonly over: number;
}

/**
 * Takes the rejections out of the stream into `sink`, at least once each: a record that was decoded ahead when a run
 * stopped is decoded, and written, again; the records of the reopened shuffle window are not.
 * Errors: TOO_MANY_BAD_RECORDS, and whatever the sink fails with.
 */
export function deadLetter({
  sink,
  limit = { share: 1, over: 1 },
  intake = new Gate(),
}: DeadLetterSettings = {}): OperatorFunction<DecodedRecord, DecodedRecord> {
  return (source) =>
    defer(() => {
      const judge = badRecordJudge(limit);
      return source.pipe(
        inOrder((record) => {
          judge(record);
          if (record.rejections.length === 0 || record.replayed || sink === undefined) return record;
          intake.hold();
          const kept = Promise.resolve(sink(record.rejections));
          return kept.finally(() => intake.release()).then(() => record);
        }),
      );
    });
}

/** Counts over the last `over` records; a record with 1 of 4 images bad counts a quarter. Tombstones do not count. */
function badRecordJudge({ share, over }: BadRecordLimit): (record: DecodedRecord) => void {
  const badness = new Float64Array(over);
  let at = 0;
  return ({ record, samples, rejections }) => {
    if (record.value === null) return;
    badness[at] = rejections.length / (samples.length + rejections.length);
    at = (at + 1) % over;
    if (rejections.length === 0) return;
    const bad = badness.reduce((sum, value) => sum + value, 0);
    // A share of 1 is met at most, but a sum of floats may lie a hair above it.
    if (bad <= share * over + 1e-9) return;
    const last = rejections[0]!;
    throw new RepulsorError(
      'TOO_MANY_BAD_RECORDS',
      `${Number(bad.toFixed(2))} of the last ${over} records were bad; the limit is ${share * over}. The last: ${last.message}`,
      { hint: `${last.hint}; or raise the limit (operators.badRecords)` },
    );
  };
}

/** Larger values are left out of the dead letter: a broker refuses messages of more than 1 MB by default. */
const MOST_BYTES = 900_000;

/** The record to keep of a rejection. `time` is the present, in milliseconds since the epoch. */
export function asDeadLetter({ bytes, hint: _hint, epoch: _epoch, ...where }: Rejection, time: number): DeadLetter {
  return { ...where, time, value: bytes.length > MOST_BYTES ? null : bytes };
}
