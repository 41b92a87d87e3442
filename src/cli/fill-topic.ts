import { digits } from '../ingest/digits.ts';
import { ingest } from '../ingest/ingest.ts';
import type { Log } from '../log/log.ts';
import { type Pipeline, topicsOf } from '../trainer/pipeline.ts';
import type { Console } from './console.ts';

/** Fills the topic with the pipeline's built-in data set where it is missing or empty, all of it or nothing. */
export async function fillTopic(log: Log, pipeline: Pipeline, { note }: Pick<Console, 'note'>): Promise<void> {
  const { ingest: dataSet } = pipeline.source;
  const [topic = ''] = topicsOf(pipeline.source);
  if (dataSet === null) return;
  await log.createTopic(topic);
  for (const partition of await log.partitions(topic)) if ((await log.offsets(topic, partition)).end > 0) return;
  note(`topic ${topic} in ${log.url} is empty: filling it with ${dataSet}`);
  const filled = await ingest(log, topic, digits(), { time: Date.now(), atomic: true, ifEmpty: true });
  if (filled.records > 0) note(`${filled.images} images in ${filled.records} records`);
}
