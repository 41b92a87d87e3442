import { RepulsorError } from '../errors.ts';
import { HELD_OUT_OF, isHeldOut } from '../ingest/held-out.ts';
import { sizeOf } from '../model/parameters.ts';
import type { ImageSet } from './image-set.ts';
import type { LabelledImages } from './train-classifier.ts';

/**
 * All labelled images of a set, in two parts: every tenth is never trained on. @throws RepulsorError USAGE where an image has
 * no label, or there are fewer than ten
 */
export async function heldOut(set: ImageSet): Promise<{ train: LabelledImages; test: LabelledImages }> {
  const size = sizeOf(set.shape);
  const parts = { train: part(), test: part() };
  let at = 0;
  for await (const { images, labels } of set.chunks())
    for (const [i, label] of labels.entries()) {
      if (label < 0)
        throw new RepulsorError('USAGE', `an image of ${set.name} has no label`, {
          hint: 'every image needs its class',
        });
      const into = isHeldOut(at++) ? parts.test : parts.train;
      into.images.push(images.subarray(i * size, (i + 1) * size));
      into.labels.push(label);
    }
  if (parts.test.labels.length === 0)
    throw new RepulsorError('USAGE', `${set.name} has ${at} images`, { hint: `give ${HELD_OUT_OF} or more` });
  return { train: joined(parts.train), test: joined(parts.test) };

  function joined({ images, labels }: ReturnType<typeof part>): LabelledImages {
    const all = new Float32Array(images.length * size);
    for (const [i, image] of images.entries()) all.set(image, i * size);
    return { images: all, labels: Int32Array.from(labels) };
  }
}

const part = () => ({ images: [] as Float32Array[], labels: [] as number[] });
