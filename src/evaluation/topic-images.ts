import type { ImageBatchReader } from '../codec/image-batch-reader.ts';
import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { samplesOf } from '../operators/decode.ts';
import { place } from '../operators/place.ts';
import { ChunkBuilder, type ImageSet } from './image-set.ts';

export interface TopicImagesSettings {
  readonly shape: ImageSet['shape'];
  /** Labels are 0 to classes - 1. */
  readonly classes: number;
  readonly latentScale: number;
  /** Default: of records that need no schema registry. */
  readonly read?: ImageBatchReader;
  /** Keys what is drawn of latents' distributions. */
  readonly seed: number;
  /** Most images taken, from the start of the topic; all without it. */
  readonly limit?: number;
  /** Told once a read, when some were passed over. */
  readonly onWarning?: (line: string) => void;
}

/**
 * The images of a topic as it stands now, one record of each partition in turn. What a trainer would set aside as unusable is
 * passed over and told. @throws RepulsorError TOPIC_MISSING, BAD_RECORD when none is usable
 */
export async function topicImages(log: Log, topic: string, settings: TopicImagesSettings): Promise<ImageSet> {
  const partitions = await log.partitions(topic);
  const ranges = await Promise.all(partitions.map((partition) => log.offsets(topic, partition)));
  const from = new Map(partitions.map((partition, i) => [partition, ranges[i]!.earliest]));
  const to = new Map(partitions.map((partition, i) => [partition, ranges[i]!.end]));
  const { shape, limit = Number.POSITIVE_INFINITY } = settings;
  return {
    name: `topic ${topic}`,
    shape,
    total: null,
    async *chunks() {
      const builder = new ChunkBuilder(shape[0] * shape[1] * shape[2]);
      let [taken, passed] = [0, 0];
      let why = '';
      read: for await (const record of log.read(topic, { from, to })) {
        const { samples, rejections } = await samplesOf(record, 0, settings);
        passed += rejections.length;
        why ||= rejections[0]?.message ?? '';
        for (const { pixels, label } of samples) {
          const full = builder.add(label, (into) => place({ pixels, flipped: false, ordinal: taken }, into, settings));
          if (full !== null) yield full;
          if (++taken === limit) break read;
        }
      }
      const rest = builder.take();
      if (rest !== null) yield rest;
      if (passed > 0)
        settings.onWarning?.(`${passed} records or images of ${topic} were passed over; the first: ${why}`);
      if (taken === 0)
        throw new RepulsorError('BAD_RECORD', `no image of the topic ${topic} is usable: ${why || 'it is empty'}`, {
          hint: `it must hold images of ${shape.join('x')}; \`repulsor log show\` shows what is there`,
        });
    },
  };
}
