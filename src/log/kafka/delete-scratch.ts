import { parseLogUrl } from '../log-url.ts';
import { KafkaClient } from './kafka-client.ts';
import { BrokerError, brokerCodeOf, CODE } from './kafka-errors.ts';

const DELETE_TIMEOUT_MS = 10_000;

/**
 * Removes topics and consumer groups of a Kafka cluster for good. No part of the Log, so that nothing that trains can do
 * it: it is for who made them as scratch. One that is not there is no error.
 * @throws RepulsorError LOG_UNREACHABLE, LOG_FAILED (also where the broker does not allow it)
 */
export async function deleteFromKafka(
  url: string,
  { topics, groups }: { readonly topics: readonly string[]; readonly groups: readonly string[] },
  environment: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const address = parseLogUrl(url, environment);
  if (address.kind !== 'kafka' || topics.length + groups.length === 0) return;
  const client = await KafkaClient.open(address);
  try {
    for (const topic of topics)
      await client.trying(`deleting topic ${topic}`, async () => {
        const broker = await client.any();
        try {
          await broker.deleteTopics({ topics: [topic], timeout: DELETE_TIMEOUT_MS });
        } catch (error) {
          if (brokerCodeOf(error) !== CODE.unknownTopic) throw error;
        }
      });
    for (const group of groups)
      await client.trying(`deleting group ${group}`, async () => {
        const broker = await client.coordinator(group, 'group');
        const [result] = (await broker.deleteGroups([group])).results;
        const code = result?.errorCode ?? 0;
        if (code !== 0 && code !== CODE.noSuchGroup) throw new BrokerError(code, `group ${group}`);
      });
  } finally {
    await client.close();
  }
}
