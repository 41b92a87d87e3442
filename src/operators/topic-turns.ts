import type { LogRecord } from '../log/log.ts';
import type { Place } from './position.ts';

/** The records of one topic, as Log.read gives them. Reads are sorted by topic. */
export interface TopicRead {
  readonly topic: string;
  readonly records: AsyncIterator<LogRecord>;
}

export interface TopicTurns {
  /** Take the partitions of all topics strictly in turn, waiting for each; otherwise take whatever has come. */
  readonly bounded: boolean;
  /** Whose turn is first; default the first partition of the first topic. */
  readonly turn?: Place;
}

/**
 * One sequence out of several topics. A round takes one record of each partition, topic by topic and partition by
 * partition ascending; a topic's own read gives its partitions in that order already, so that a record of no later
 * partition than the one before begins the topic's next round.
 *
 * Bounded: the order is a function of the records alone, and a read that begins at another's `turn` goes on as that one
 * would have. Following: a topic that has nothing is passed over, and a record that is ready waits at most for one of
 * each other partition; so neither a busy topic nor a silent one holds up the rest.
 * At most one record of each topic is held. Ends when every read has; the reads are the caller's to close.
 */
export async function* inTopicTurns(
  reads: readonly TopicRead[],
  { bounded, turn }: TopicTurns,
): AsyncGenerator<LogRecord> {
  let wake = (): void => {};
  const live = reads.map((read) => new Head(read, () => wake()));
  // Nothing may be left of the topic whose turn it is, and then it is the turn of the one behind it.
  let at =
    turn === undefined
      ? 0
      : Math.max(
          0,
          live.findIndex(({ topic }) => topic >= turn.topic),
        );
  /** The partition of the topic `at` that this round has reached; what follows it is next. */
  let reached = turn !== undefined && live[at]?.topic === turn.topic ? turn.partition - 1 : -1;

  /** The head to take from; null where one has to be waited for, or none is left. */
  const due = (): Head | null => {
    let step = 0;
    while (live.length > 0 && step <= live.length) {
      const index = (at + step) % live.length;
      const head = live[index]!;
      if (head.failure !== null) throw head.failure.error;
      if (head.done) {
        live.splice(index, 1);
        if (step === 0) reached = -1;
        else if (index < at) at--;
        if (at >= live.length) at = 0;
        continue;
      }
      if (head.record === null && bounded) return null;
      if (head.record === null || (step === 0 && head.record.partition <= reached)) {
        step++;
        continue;
      }
      at = index;
      return head;
    }
    return null;
  };

  for (;;) {
    const head = due();
    if (head !== null) {
      const record = head.take();
      reached = record.partition;
      yield record;
    } else if (live.length === 0) return;
    else
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
}

/** One record ahead of a topic. */
class Head {
  readonly topic: string;
  readonly #records: AsyncIterator<LogRecord>;
  readonly #onChange: () => void;
  /** The next one; null while it is awaited. */
  record: LogRecord | null = null;
  done = false;
  failure: { readonly error: unknown } | null = null;

  constructor({ topic, records }: TopicRead, onChange: () => void) {
    this.topic = topic;
    this.#records = records;
    this.#onChange = onChange;
    this.#fetch();
  }

  take(): LogRecord {
    const record = this.record!;
    this.record = null;
    this.#fetch();
    return record;
  }

  #fetch(): void {
    this.#records
      .next()
      .then(
        (next) => {
          if (next.done) this.done = true;
          else this.record = next.value;
        },
        (error: unknown) => {
          this.failure = { error };
        },
      )
      .finally(() => this.#onChange());
  }
}
