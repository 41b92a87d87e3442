/** A child of the pipeline benchmark: the same topic through kafkajs's own consumer, its values looked at and left. */
import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { parseLogUrl } from '../../src/log/log-url.ts';
import { task } from '../child.ts';
import { takeTurns } from '../turn-process.ts';

export interface KafkajsTask {
  readonly log: string;
  readonly topic: string;
  /** In the topic. */
  readonly records: number;
  /** Most bytes of a partition in an answer; null: kafkajs's default. */
  readonly maxBytesPerPartition: number | null;
}

export interface KafkajsTurn {
  readonly bytes: number;
  readonly seconds: number;
  readonly cpu_seconds: number;
}

const { log: url, topic, records, maxBytesPerPartition }: KafkajsTask = task();
const address = parseLogUrl(url);
if (address.kind !== 'kafka') throw new Error(`${url} is no Kafka`);
const kafka = new Kafka({ brokers: [...address.brokers], logLevel: logLevel.ERROR });

/** From the moment that the consumer has joined its group: what comes before is no reading. */
async function pass(): Promise<KafkajsTurn> {
  const consumer = kafka.consumer({
    groupId: `bench-${randomUUID()}`,
    ...(maxBytesPerPartition !== null && { maxBytesPerPartition }),
  });
  let begun = Number.NaN;
  let cpu = process.cpuUsage();
  consumer.on(consumer.events.GROUP_JOIN, () => {
    begun = performance.now();
    cpu = process.cpuUsage();
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let left = records;
  let bytes = 0;
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        autoCommit: false,
        eachBatch: async ({ batch }) => {
          for (const { value } of batch.messages) bytes += value?.length ?? 0;
          left -= batch.messages.length;
          if (left <= 0) resolve();
        },
      })
      .catch(reject);
  });
  const seconds = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await consumer.disconnect();
  return { bytes, seconds, cpu_seconds: (user + system) / 1e6 };
}

await pass();
await takeTurns<object>({}, pass, () => ({}));
process.exit(0); // kafkajs may keep a closed consumer's sockets
