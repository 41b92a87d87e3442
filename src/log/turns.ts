import type { LogRecord } from './log.ts';

/** Reads one partition in order. */
export interface PartitionCursor {
  readonly partition: number;
  /** The next record; `waiting` when none is committed yet; `done` once the bound of the read is reached. */
  tryNext(): Promise<LogRecord | 'waiting' | 'done'>;
  close(): Promise<void>;
}

export interface TurnOptions {
  /** Take the partitions strictly in turn, waiting for each; otherwise take whatever has come. */
  readonly bounded: boolean;
  /** The partition whose turn is first; default the lowest. */
  readonly turn?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Resolves when it is worth asking a waiting cursor again, and soon after the signal aborts. */
  readonly wait: () => Promise<void>;
}

/**
 * One sequence out of several partitions, the order that `Log.read` promises. Ends when every cursor is done, or when
 * the signal aborts. Closes the cursors.
 */
export async function* inTurns(cursors: readonly PartitionCursor[], options: TurnOptions): AsyncGenerator<LogRecord> {
  const { bounded, turn, signal, wait } = options;
  const ascending = [...cursors].sort((a, b) => a.partition - b.partition);
  const first = turn === undefined ? 0 : ascending.findIndex(({ partition }) => partition >= turn);
  const live = first <= 0 ? ascending : [...ascending.slice(first), ...ascending.slice(0, first)];
  try {
    let at = 0;
    let idle = 0; // cursors asked in a row that had nothing
    while (live.length > 0 && !signal?.aborted) {
      const next = await live[at]!.tryNext();
      if (next === 'done') {
        live.splice(at, 1);
        idle = 0;
      } else if (next === 'waiting') {
        if (!bounded) {
          at += 1;
          idle += 1;
        }
        if (bounded || idle >= live.length) {
          idle = 0;
          await wait();
        }
      } else {
        idle = 0;
        at += 1;
        yield next;
      }
      if (at >= live.length) at = 0;
    }
  } finally {
    await Promise.all(cursors.map((cursor) => cursor.close()));
  }
}
