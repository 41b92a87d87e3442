import { BadRecord } from '../codec/bad-record.ts';
import { type ImageBatchReader, imageBatchReader } from '../codec/image-batch-reader.ts';
import { isLatent } from '../codec/images.ts';
import type { Encoder, ImageBatch } from '../codec/records.ts';
import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';

/**
 * Images and latents, or latents of two encoders, do not belong in one topic: a run takes those of one, and sets the others
 * aside. Judged by the first record of each partition. `encoder`: of what is to be appended; null for images. `read`: of what is
 * there; by default without a schema registry.
 * @throws RepulsorError CONFIG naming both; what the log throws
 */
export async function demandSameEncoder(
  log: Log,
  topic: string,
  partitions: readonly number[],
  encoder: Encoder | null,
  read: ImageBatchReader = imageBatchReader(null),
): Promise<void> {
  for (const partition of partitions) {
    const first = await firstBatch(log, topic, partition, read);
    if (first === null) continue;
    const [held, wanted] = [described(isLatent(first), first.encoder), described(encoder !== null, encoder)];
    if (held === wanted) continue;
    throw new RepulsorError('CONFIG', `the topic ${topic} holds ${held}; these are ${wanted}`, {
      hint: 'give each encoder a topic of its own: --topic',
    });
  }
}

function described(latents: boolean, encoder: Encoder | null): string {
  if (!latents) return 'images';
  if (encoder === null) return 'latents of an encoder that is not named';
  return `latents of the encoder ${encoder.sha256}, scale ${encoder.scale}`;
}

/** The first record still there; null when there is none, or none that is readable. */
async function firstBatch(
  log: Log,
  topic: string,
  partition: number,
  read: ImageBatchReader,
): Promise<ImageBatch | null> {
  const { earliest, end } = await log.offsets(topic, partition);
  const range = { from: new Map([[partition, earliest]]), to: new Map([[partition, end]]) };
  for await (const { value } of log.read(topic, { ...range, maxBufferedBytes: 2 ** 20 })) {
    try {
      return value === null ? null : await read(value);
    } catch (error) {
      if (error instanceof BadRecord) return null;
      throw error;
    }
  }
  return null;
}
