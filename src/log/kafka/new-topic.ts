import type { TopicSettings } from '../log.ts';

const BROKER_DEFAULT = -1;
const REPLICAS = 3;

/** Of a record; a commit names each record of a shuffle window. What hosted clusters commonly allow at most. */
const MAX_MESSAGE_BYTES = 8 * 2 ** 20;

/**
 * A topic to create, with no setting left to the broker that could remove or change a record. On three brokers or more
 * it has three replicas of which two must have a record before it counts, so that no single disk holds the only copy.
 */
export function newTopicOf(topic: string, { partitions = 1, retentionMs = null }: TopicSettings, brokers: number) {
  const settings: Record<string, string | number> = {
    'cleanup.policy': 'delete',
    'retention.ms': retentionMs ?? -1,
    'retention.bytes': -1,
    'message.timestamp.type': 'CreateTime',
    'max.message.bytes': MAX_MESSAGE_BYTES,
    ...(brokers >= REPLICAS && { 'min.insync.replicas': REPLICAS - 1 }),
  };
  return {
    topic,
    numPartitions: partitions,
    replicationFactor: brokers >= REPLICAS ? REPLICAS : BROKER_DEFAULT,
    configEntries: Object.entries(settings).map(([name, value]) => ({ name, value: String(value) })),
  };
}
