import { decodeImageFile } from '../codec/image-file.ts';
import { RepulsorError } from '../errors.ts';
import type { ImageSource, SourceImage } from '../ingest/source.ts';
import { place } from '../operators/place.ts';
import { ChunkBuilder, type ImageSet } from './image-set.ts';

type Shape = ImageSet['shape'];

/**
 * The images of a source (the digits, a folder), all of one shape: the source's, or the first image's.
 * @throws RepulsorError BAD_RECORD where one cannot be read or has another shape; a measure of fewer would be of another set
 */
export async function sourceImages(source: ImageSource): Promise<ImageSet> {
  const wanted = source.shape ?? (await firstShape(source));
  return {
    name: source.id,
    shape: wanted,
    total: source.total,
    async *chunks() {
      const builder = new ChunkBuilder(wanted[0] * wanted[1] * wanted[2]);
      for await (const image of source.images()) {
        if ('unreadable' in image) throw unusable(image.name, image.unreadable);
        const pixels = await pixelsOf(image, wanted);
        const full = builder.add(image.label, (into) =>
          place({ pixels, flipped: false, ordinal: 0 }, into, { shape: wanted, latentScale: 1, seed: 0 }),
        );
        if (full !== null) yield full;
      }
      const rest = builder.take();
      if (rest !== null) yield rest;
    },
  };
}

async function firstShape(source: ImageSource): Promise<Shape> {
  for await (const image of source.images()) {
    if ('unreadable' in image) throw unusable(image.name, image.unreadable);
    return image.shape;
  }
  throw unusable(source.id, 'it holds no image');
}

async function pixelsOf({ name, bytes, encoding, shape }: SourceImage, wanted: Shape): Promise<Uint8Array> {
  if (encoding === 'RAW_U8' && shape.join() === wanted.join()) return bytes;
  if (encoding !== 'PNG' && encoding !== 'JPEG' && encoding !== 'WEBP')
    throw unusable(name, `it is ${shape.join('x')}, the others are ${wanted.join('x')}`);
  return decodeImageFile(bytes, encoding, wanted).catch((cause: Error) => {
    throw unusable(name, cause.message);
  });
}

function unusable(name: string, why: string): RepulsorError {
  return new RepulsorError('BAD_RECORD', `${name} cannot be used: ${why}`, {
    hint: 'bring all images to one size with --size HxW, and remove files that do not open',
  });
}
