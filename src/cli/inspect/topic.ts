import type { Log } from '../../log/log.ts';
import { fields, type View } from '../view.ts';

/** A topic's partitions and what of them is there. */
export async function viewTopic(log: Log, topic: string): Promise<View> {
  const numbers = await log.partitions(topic);
  const partitions = await Promise.all(
    numbers.map(async (partition) => ({ partition, ...(await log.offsets(topic, partition)) })),
  );
  const found = { topic, log: log.url, partitions };
  const ranges = partitions.map(({ partition, earliest, end }) => `${partition}: ${earliest}..${end}`);
  return { found, text: fields({ topic, log: log.url, partitions: ranges.join('  ') }) };
}
