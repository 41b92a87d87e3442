import { expect, test } from 'vitest';
import { newTopicOf } from '../../src/log/kafka/new-topic.ts';

const settingsOf = (brokers: number) => {
  const { replicationFactor, configEntries } = newTopicOf('topic', {}, brokers);
  return { replicationFactor, minInsync: configEntries.find(({ name }) => name === 'min.insync.replicas')?.value };
};

test('on three brokers or more a topic has three replicas, of which two must have a record; else what the broker sets', () => {
  for (const brokers of [1, 2]) expect(settingsOf(brokers)).toEqual({ replicationFactor: -1, minInsync: undefined });
  for (const brokers of [3, 9]) expect(settingsOf(brokers)).toEqual({ replicationFactor: 3, minInsync: '2' });
});
