import { randomUUID } from 'node:crypto';
import { Kafka, type KafkaConfig } from 'kafkajs';
import { clientConfig } from '../../src/log/kafka/kafka-client.ts';
import { type KafkaAddress, parseLogUrl } from '../../src/log/log-url.ts';
import { openLog } from '../../src/log/open-log.ts';
import { type Spread, spread } from '../spread.ts';
import { inTurns, ratios, timed } from '../turns.ts';

/** A transaction over two topics with 128 KB: about what the small part of a commit is. */
const RECORD_BYTES = 64 * 1024;
const BACK_TO_BACK = 20;

export interface TransactionFigures {
  /** Each of the transactions that follow one another without a pause. */
  readonly ours_seconds: Spread;
  readonly kafkajs_default_seconds: Spread;
  /** With its first retry after 5 ms instead of 300. */
  readonly kafkajs_tuned_seconds: Spread;
  readonly ratio_to_default: Spread;
  readonly ratio_to_tuned: Spread;
}

/** Measures our transactions in turns with kafkajs's own producer, over the same broker and topics. */
export async function measureTransactions(url: string, rounds: number): Promise<TransactionFigures> {
  const topics = [0, 1].map((n) => `bench-transactions-${n}-${randomUUID().slice(0, 8)}`);
  const value = Buffer.alloc(RECORD_BYTES, 1);
  const log = await openLog(url);
  for (const topic of topics) await log.createTopic(topic);
  const writer = await log.takeOver(`bench-${randomUUID()}`);
  const config = clientConfig(parseLogUrl(url, process.env) as KafkaAddress);
  const kafkajs = await openProducer(config);
  const tuned = await openProducer({ ...config, retry: { initialRetryTime: 5 } });

  const ours = async () => {
    const transaction = await writer.begin();
    for (const topic of topics) await transaction.append(topic, [{ value }]);
    await transaction.commit();
  };
  const theirs = (producer: typeof kafkajs) => async () => {
    const transaction = await producer.transaction();
    for (const topic of topics) await transaction.send({ topic, messages: [{ value }] });
    await transaction.commit();
  };
  const each = (transact: () => Promise<void>) => async () => {
    const seconds = await timed(async () => {
      for (let i = 0; i < BACK_TO_BACK; i++) await transact();
    });
    return seconds / BACK_TO_BACK;
  };
  try {
    for (const transact of [ours, theirs(kafkajs), theirs(tuned)]) await transact(); // connections, metadata
    const measured = await inTurns(rounds, {
      ours: each(ours),
      kafkajs: each(theirs(kafkajs)),
      tuned: each(theirs(tuned)),
    });
    return {
      ours_seconds: spread(measured.ours),
      kafkajs_default_seconds: spread(measured.kafkajs),
      kafkajs_tuned_seconds: spread(measured.tuned),
      ratio_to_default: ratios(measured.ours, measured.kafkajs),
      ratio_to_tuned: ratios(measured.ours, measured.tuned),
    };
  } finally {
    await Promise.all([kafkajs.disconnect(), tuned.disconnect()]);
    await writer.close();
    await log.close();
  }
}

async function openProducer(config: KafkaConfig) {
  const producer = new Kafka(config).producer({
    transactionalId: `bench-${randomUUID()}`,
    idempotent: true,
    maxInFlightRequests: 1,
  });
  await producer.connect();
  return producer;
}
