import type { Log } from '../../log/log.ts';
import type { View } from '../view.ts';

/** Every topic with its partitions and what of them is there. */
export async function listTopics(log: Log): Promise<View> {
  const topics = [];
  for (const topic of await log.topics()) {
    const partitions = [];
    for (const partition of await log.partitions(topic))
      partitions.push({ partition, ...(await log.offsets(topic, partition)) });
    topics.push({ topic, partitions });
  }
  const widest = topics.reduce((most, { topic }) => Math.max(most, topic.length), 5);
  const lines = topics.map(({ topic, partitions }) => {
    const ranges = partitions.map(({ partition, earliest, end }) => `${partition}: ${earliest}..${end}`);
    return `${topic.padEnd(widest)}  ${ranges.join('  ')}`;
  });
  return { found: { log: log.url, topics }, text: lines.join('\n') };
}
