import { digits } from '../ingest/digits.ts';
import { holdOut } from '../ingest/held-out.ts';
import { ingest, isEmpty } from '../ingest/ingest.ts';
import type { ImageSource } from '../ingest/source.ts';
import type { Log } from '../log/log.ts';
import { type Pipeline, topicsOf } from '../trainer/pipeline.ts';
import type { Console } from './console.ts';

/**
 * Fills the topic with the pipeline's built-in data set where it is missing or empty, all of it or nothing. What the pipeline is
 * measured by, `evaluation.topic`, gets the images that are held out, and gets them first: a topic that is full never lacks it.
 */
export async function fillTopic(
  log: Log,
  pipeline: Pipeline,
  { note, warn }: Pick<Console, 'note' | 'warn'>,
): Promise<void> {
  const { ingest: dataSet } = pipeline.source;
  const [topic = ''] = topicsOf(pipeline.source);
  if (dataSet === null) return;
  const measured = pipeline.evaluation.topic === topic ? null : pipeline.evaluation.topic;
  await log.createTopic(topic);
  if (!(await isEmpty(log, topic))) {
    if (measured !== null && !(await holdsRecords(log, measured)))
      warn(
        `topic ${topic} is full and ${measured} is empty: no image was held out, nothing is measured by it; ` +
          'another --topic is filled anew',
      );
    return;
  }
  note(`topic ${topic} in ${log.url} is empty: filling it with ${dataSet}`);
  const { train, heldOut } = holdOut(digits());
  if (measured !== null) await fill(measured, heldOut);
  await fill(topic, measured === null ? digits() : train);

  async function fill(into: string, source: ImageSource): Promise<void> {
    await log.createTopic(into);
    const filled = await ingest(log, into, source, { time: Date.now(), atomic: true, ifEmpty: true });
    if (filled.records === 0) return;
    const where = into === measured ? `, held out, in topic ${into}` : '';
    note(`${filled.images} images in ${filled.records} records${where}`);
  }
}

async function holdsRecords(log: Log, topic: string): Promise<boolean> {
  return (await log.topics()).includes(topic) && !(await isEmpty(log, topic));
}
