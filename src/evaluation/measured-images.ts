import type { ImageBatchReader } from '../codec/image-batch-reader.ts';
import { joined } from '../codec/joined.ts';
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
  read: ImageBatchReader,
  onWarning: (line: string) => void,
): Promise<ImageChunk> {
  const { evaluation, model, operators, seed } = pipeline;
  const topic = measuredTopic(pipeline);
  const set = await topicImages(log, topic, {
    ...{ shape: model.input, classes: model.classes, latentScale: operators.latentScale, seed },
    ...{ limit: evaluation.images, read, onWarning },
  });
  const chunks: ImageChunk[] = [];
  for await (const chunk of set.chunks()) chunks.push(chunk);
  const labels = joined(
    Int32Array,
    chunks.map((chunk) => chunk.labels),
  );
  if (labels.length < 4)
    throw new RepulsorError('USAGE', `the topic ${topic} has ${labels.length} images to evaluate with`, {
      hint: 'give it more, or name another in evaluation.topic',
    });
  const images = joined(
    Float32Array,
    chunks.map((chunk) => chunk.images),
  );
  return { images, labels };
}
