import type { Log, Transaction } from '../../src/log/log.ts';

/** The given log, some calls of whose transactions are replaced: what a broken connection does, at a chosen moment. */
export function failingLog(log: Log, fault: (transaction: Transaction) => Partial<Transaction>): Log {
  return {
    url: log.url,
    topics: () => log.topics(),
    createTopic: (topic, settings) => log.createTopic(topic, settings),
    partitions: (topic) => log.partitions(topic),
    topicId: (topic) => log.topicId(topic),
    keeping: (topic) => log.keeping(topic),
    storedBytes: (topic, partition) => log.storedBytes(topic, partition),
    offsets: (topic, partition) => log.offsets(topic, partition),
    offsetAt: (topic, partition, timestamp) => log.offsetAt(topic, partition, timestamp),
    read: (topic, options) => log.read(topic, options),
    append: (topic, records) => log.append(topic, records),
    close: () => log.close(),
    async takeOver(id) {
      const writer = await log.takeOver(id);
      return {
        epoch: writer.epoch,
        close: () => writer.close(),
        async begin() {
          const transaction = await writer.begin();
          return {
            append: (topic, records) => transaction.append(topic, records),
            sendOffsets: (group, topic, next) => transaction.sendOffsets(group, topic, next),
            commit: () => transaction.commit(),
            abort: () => transaction.abort(),
            ...fault(transaction),
          };
        },
      };
    },
  };
}
