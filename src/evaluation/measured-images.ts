import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { type Pipeline, topicsOf } from '../trainer/pipeline.ts';
import type { ImageChunk } from './image-set.ts';
import { topicImages } from './topic-images.ts';

/** The topic whose images are measured. */
export function measuredTopic({ evaluation, source }: Pick<Pipeline, 'evaluation' | 'source'>): string {
  return evaluation.topic ?? topicsOf(source)[0]!;
}

/**
 * The images whose features are measured: always the same, the first of their topic in `log`.
 * @throws RepulsorError USAGE where there are fewer than four; TOPIC_MISSING, BAD_RECORD
 */
export async function measuredImages(
  log: Log,
  pipeline: Pipeline,
  onWarning: (line: string) => void,
): Promise<ImageChunk> {
  const { evaluation, model, operators, seed } = pipeline;
  const topic = measuredTopic(pipeline);
  const set = await topicImages(log, topic, {
    ...{ shape: model.input, classes: model.classes, latentScale: operators.latentScale, seed },
    ...{ limit: evaluation.images, onWarning },
  });
  const chunks: ImageChunk[] = [];
  for await (const chunk of set.chunks()) chunks.push(chunk);
  const count = chunks.reduce((sum, { labels }) => sum + labels.length, 0);
  if (count < 4)
    throw new RepulsorError('USAGE', `the topic ${topic} has ${count} images to evaluate with`, {
      hint: 'give it more, or name another in evaluation.topic',
    });
  const images = new Float32Array(chunks.reduce((sum, chunk) => sum + chunk.images.length, 0));
  const labels = new Int32Array(count);
  let [at, row] = [0, 0];
  for (const chunk of chunks) {
    images.set(chunk.images, at);
    labels.set(chunk.labels, row);
    at += chunk.images.length;
    row += chunk.labels.length;
  }
  return { images, labels };
}
