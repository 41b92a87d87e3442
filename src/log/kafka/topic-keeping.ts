import type { TopicKeeping } from '../log.ts';
import { BrokerError } from './kafka-errors.ts';
import { Encoder, type KafkaBroker } from './kafkajs-internals.ts';

const TOPIC = 2; // the type of a resource
const NAMES = ['retention.ms', 'retention.bytes', 'cleanup.policy', 'max.message.bytes'] as const;

/** How the broker keeps a topic. @throws BrokerError, also when the user may not describe it */
export async function topicKeepingOf(broker: KafkaBroker, topic: string): Promise<TopicKeeping> {
  const { resources } = await broker.describeConfigs({
    resources: [{ type: TOPIC, name: topic, configNames: [...NAMES] }],
  });
  const set = new Map(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]));
  const limit = (name: (typeof NAMES)[number]): number | null => {
    const value = Number(set.get(name) ?? -1);
    return value < 0 ? null : value;
  };
  const policies = (set.get('cleanup.policy') ?? 'delete').split(',');
  return {
    // A topic that is compacted only removes nothing by its age.
    retentionMs: policies.includes('delete') ? limit('retention.ms') : null,
    retentionBytes: policies.includes('delete') ? limit('retention.bytes') : null,
    compacted: policies.includes('compact'),
    maxRecordBytes: limit('max.message.bytes'),
  };
}

/*
 * request  = count:i32 (topic:string count:i32 partition:i32*)*
 * response = throttle:i32 count:i32 (code:i16 folder:string count:i32 (topic:string count:i32 partitionSize*)*)*
 * partitionSize = partition:i32 bytes:i64 lag:i64 future:i8
 *
 * kafka.apache.org/protocol, DescribeLogDirs v1; kafkajs has no encoding of it.
 */
const DESCRIBE_LOG_DIRS = 35;

/** Bytes that the broker's disks hold of the partition, compressed as they lie there; null when it holds none. */
export function storedBytesOf(broker: KafkaBroker, topic: string, partition: number): Promise<number | null> {
  const encode = async (): Promise<unknown> => {
    const partitions = new Encoder().writeInt32(partition);
    return new Encoder().writeArray([new Encoder().writeString(topic).writeArray([partitions])]);
  };
  return broker.connectionPool.send<number | null>({
    request: { apiKey: DESCRIBE_LOG_DIRS, apiVersion: 1, apiName: 'DescribeLogDirs', encode },
    response: { decode: async (payload) => payload, parse: async (payload: Buffer) => readSize(payload, topic) },
  });
}

function readSize(payload: Buffer, topic: string): number | null {
  let at = 4;
  let size: number | null = null;
  const count = (): number => {
    at += 4;
    return payload.readInt32BE(at - 4);
  };
  const skipString = (): void => {
    at += 2 + Math.max(0, payload.readInt16BE(at));
  };
  for (let folders = count(); folders > 0; folders--) {
    const code = payload.readInt16BE(at);
    at += 2;
    if (code !== 0) throw new BrokerError(code, `the size of topic ${topic}`);
    skipString();
    for (let topics = count(); topics > 0; topics--) {
      skipString();
      for (let partitions = count(); partitions > 0; partitions--) {
        const isFuture = payload.readInt8(at + 20) !== 0; // being moved to another disk of the broker
        if (!isFuture) size = (size ?? 0) + Number(payload.readBigInt64BE(at + 4));
        at += 21;
      }
    }
  }
  return size;
}
