import { RepulsorError } from '../../errors.ts';
import type { ExactWriter, LogRecord, NewRecord } from '../log.ts';
import type { KafkaClient } from './kafka-client.ts';
import type { KafkaProducer } from './kafka-producer.ts';
import type { KafkaWriter } from './kafka-transaction.ts';

/** Offsets left out in one transaction: it must end within the time that a broker gives one. */
const GAP_AT_ONCE = 200_000;
/** A gap costs the broker about 10 bytes an offset; a larger one is most likely a mistake. */
const LARGEST_GAP = 20_000_000;

/**
 * Writes a Kafka topic at given offsets, which Kafka has no request for. Records go in plain appends, which take one
 * offset each. Where offsets are to be left out, empty records are written in a transaction that is then aborted: they
 * and the abort's marker take an offset each, and no reader of committed records sees them (KIP-98). The marker is what
 * the original most likely had there, too: each transaction leaves one.
 */
export class KafkaExactWriter implements ExactWriter {
  readonly #wiring: Wiring;
  readonly #ends: Map<number, number>;
  #writer: KafkaWriter | null = null;

  constructor(wiring: Wiring) {
    this.#wiring = wiring;
    this.#ends = new Map(wiring.ends);
  }

  async begin(partition: number, start: number): Promise<void> {
    if (start === 0) return;
    await this.write(partition, [], start);
    const { client, topic } = this.#wiring;
    await client.trying(`beginning ${topic}, partition ${partition}, at ${start}`, async () => {
      const leader = await client.leader(topic, partition);
      return leader.deleteRecords({ topics: [{ topic, partitions: [{ partition, offset: `${start}` }] }] });
    });
  }

  async write(partition: number, records: readonly LogRecord[], end: number): Promise<void> {
    for (let first = 0, last = 1; first < records.length; first = last++) {
      while (last < records.length && records[last]!.offset === records[last - 1]!.offset + 1) last++;
      const run = records.slice(first, last);
      await this.#skipTo(partition, run[0]!.offset, run[0]!.timestamp);
      const offsets = await this.#wiring.producer.append(this.#wiring.topic, partition, run, 0);
      const strange = offsets.findIndex((offset, i) => offset !== run[i]!.offset);
      if (strange >= 0) throw this.#otherWriter(partition, offsets[strange]!, run[strange]!.offset);
      this.#ends.set(partition, run.at(-1)!.offset + 1);
    }
    await this.#skipTo(partition, end, records.at(-1)?.timestamp ?? 0);
  }

  async close(): Promise<void> {
    await this.#writer?.close();
  }

  async #skipTo(partition: number, offset: number, timestamp: number): Promise<void> {
    const { topic, endOf } = this.#wiring;
    for (;;) {
      const end = this.#ends.get(partition) ?? 0;
      if (end === offset) return;
      if (end > offset) throw this.#otherWriter(partition, end, offset);
      if (offset - end > LARGEST_GAP) throw tooLarge(topic, partition, end, offset);
      this.#writer ??= await this.#wiring.takeOver();
      // The take-over may have ended a transaction that a killed copy left in this very gap.
      const now = await endOf(partition);
      if (now !== end) {
        if (now > offset) throw this.#otherWriter(partition, now, offset);
        this.#ends.set(partition, now);
        continue;
      }
      const left = Math.min(GAP_AT_ONCE, offset - end);
      await this.#leaveOut(this.#writer, partition, left, timestamp);
      const reached = await endOf(partition);
      if (reached !== end + left) throw this.#otherWriter(partition, reached, end + left);
      this.#ends.set(partition, reached);
    }
  }

  /** An aborted transaction of `count - 1` empty records and its marker. */
  async #leaveOut(writer: KafkaWriter, partition: number, count: number, timestamp: number): Promise<void> {
    const { topic } = this.#wiring;
    const empty: NewRecord[] = new Array(count - 1).fill({ value: null, timestamp });
    await writer.addPartitions(topic, [partition]);
    if (count > 1) await writer.producer.append(topic, partition, empty, timestamp);
    await writer.end(false);
  }

  #otherWriter(partition: number, found: number, expected: number): RepulsorError {
    const { topic } = this.#wiring;
    return new RepulsorError(
      'LOG_FAILED',
      `${topic}, partition ${partition}, goes on at offset ${found}, not at ${expected}: another writer is at work there`,
      { hint: 'Stop it. Delete the topic and copy again: offsets of a Kafka topic cannot be given back.' },
    );
  }
}

interface Wiring {
  readonly topic: string;
  readonly client: KafkaClient;
  /** Partition -> its end. */
  readonly ends: ReadonlyMap<number, number>;
  readonly producer: KafkaProducer;
  readonly takeOver: () => Promise<KafkaWriter>;
  readonly endOf: (partition: number) => Promise<number>;
}

function tooLarge(topic: string, partition: number, end: number, offset: number): RepulsorError {
  const gap = offset - end;
  return new RepulsorError(
    'LOG_FAILED',
    `${topic}, partition ${partition}, would need ${gap} offsets left out before ${offset}; a Kafka topic is given ${LARGEST_GAP} at most`,
    { hint: 'Copy it to a file: log, which leaves out any number.' },
  );
}
