import { endianness } from 'node:os';
import { BadRecord } from './bad-record.ts';
import { halvesToFloats } from './half-float.ts';
import { decodeImageFile, type FileEncoding } from './image-file.ts';
import { DEFAULT_LIMITS, type ImageLimits } from './limits.ts';
import type { Encoding, ImageBatch } from './records.ts';
import { readSmallPng } from './small-png.ts';

export type Shape = readonly [height: number, width: number, channels: number];

/** What an encoder says of an image: a normal distribution for each element, independent of the others. Row-major HWC. */
export interface Moments {
  readonly mean: Float32Array;
  /** Standard deviations, none below 0. */
  readonly std: Float32Array;
}

/** One image, row-major HWC: u8 pixels, the float32 values of a latent, or the distribution to draw a latent from. */
export type Pixels = Uint8Array | Float32Array | Moments;

/** Bytes of an element, decoded. */
const ELEMENT_BYTES: Partial<Record<Encoding, number>> = { LATENT_F32: 4, LATENT_F16: 4, LATENT_MOMENTS_F32: 8 };

/** Whether the images are an encoder's latents, not pixels. */
export const isLatent = ({ encoding }: Pick<ImageBatch, 'encoding'>): boolean => encoding in ELEMENT_BYTES;

/** The images of a record in its order: each its pixels, or why it is bad. */
export type DecodedImages = readonly (Pixels | BadRecord)[];

/**
 * Checks what can be checked without decoding: dimensions, counts, labels, sizes. Returns the shape.
 * @throws BadRecord dimensions, count, too_large, labels
 */
export function checkImageBatch(batch: ImageBatch, limits: ImageLimits = DEFAULT_LIMITS): Shape {
  const { shape, images, labels, encoding } = batch;
  const latent = isLatent(batch);
  const [height = 0, width = 0, channels = 0] = shape;
  const sides = [height, width];
  if (shape.length !== 3 || sides.some((side) => side < 1 || side > limits.side)) {
    throw new BadRecord(
      'dimensions',
      `the shape [${shape.slice(0, 8)}] is not height, width (1 to ${limits.side}), channels`,
    );
  }
  if (latent ? channels < 1 || channels > limits.channels : channels !== 1 && channels !== 3 && channels !== 4) {
    const allowed = latent ? `1 to ${limits.channels}` : '1, 3 or 4';
    throw new BadRecord('dimensions', `${channels} channels; ${encoding} has ${allowed}`);
  }
  if (images.length < 1 || images.length > limits.images) {
    throw new BadRecord('count', `${images.length} images; a record has 1 to ${limits.images}`);
  }
  const decodedBytes = images.length * height * width * channels * (ELEMENT_BYTES[encoding] ?? 1);
  if (decodedBytes > limits.decodedBytes) {
    throw new BadRecord('too_large', `its images take ${decodedBytes} bytes; the limit is ${limits.decodedBytes}`);
  }
  if (labels !== null && labels.length !== images.length) {
    throw new BadRecord('labels', `${labels.length} labels for ${images.length} images`);
  }
  return [height, width, channels];
}

/**
 * Decodes the images of a record, side by side. An image that cannot be used is a BadRecord in its place; the others
 * are not touched by it. The result depends on the record alone (and on the versions of the decoders).
 * @throws BadRecord when the record as a whole cannot be used (checkImageBatch)
 */
export async function decodeImages(batch: ImageBatch, limits: ImageLimits = DEFAULT_LIMITS): Promise<DecodedImages> {
  return imagesOf(batch, limits);
}

/** The same, at once where nothing is to be waited for: raw pixels, latents, and small PNG files. */
export function imagesOf(batch: ImageBatch, limits: ImageLimits): DecodedImages | Promise<DecodedImages> {
  const shape = checkImageBatch(batch, limits);
  const { images, encoding } = batch;
  if (encoding === 'PNG' || encoding === 'JPEG' || encoding === 'WEBP') {
    const decoded = images.map(
      (bytes) =>
        (encoding === 'PNG' ? readSmallPng(bytes, shape) : null) ??
        decodeImageFile(bytes, encoding, shape).catch(badRecordIn),
    );
    return decoded.some((image) => image instanceof Promise)
      ? Promise.all(decoded)
      : (decoded as Exclude<(typeof decoded)[number], Promise<unknown>>[]);
  }
  // Nothing to wait for: a promise for each image would take longer than looking at it.
  return images.map((bytes) => {
    try {
      return decodeRaw(bytes, encoding, shape);
    } catch (error) {
      return badRecordIn(error);
    }
  });
}

function badRecordIn(error: unknown): BadRecord {
  if (error instanceof BadRecord) return error;
  throw error;
}

function decodeRaw(bytes: Uint8Array, encoding: Exclude<Encoding, FileEncoding>, shape: Shape): Pixels {
  const elements = shape[0] * shape[1] * shape[2];
  switch (encoding) {
    case 'RAW_U8':
      return filled(bytes, elements);
    case 'LATENT_F32':
      return finite(floats(filled(bytes, elements * 4)));
    case 'LATENT_MOMENTS_F32':
      return moments(filled(bytes, elements * 8), elements);
    case 'LATENT_F16':
      return finite(halvesToFloats(filled(bytes, elements * 2)));
  }
}

function filled(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw new BadRecord('length', `${bytes.length} bytes; its shape takes ${length}`);
  return bytes;
}

function finite(values: Float32Array): Float32Array {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) throw new BadRecord('non_finite', `element ${i} is ${values[i]}`);
  }
  return values;
}

function moments(bytes: Uint8Array, elements: number): Moments {
  const values = finite(floats(bytes));
  const std = values.subarray(elements);
  const negative = std.findIndex((value) => value < 0);
  if (negative >= 0) throw new BadRecord('non_finite', `the deviation of element ${negative} is ${std[negative]}`);
  return { mean: values.subarray(0, elements), std };
}

/** A copy: the record's bytes need not be aligned for a float view. */
function floats(bytes: Uint8Array): Float32Array {
  const copy = Buffer.from(new Uint8Array(bytes).buffer);
  if (endianness() === 'BE') copy.swap32();
  return new Float32Array(copy.buffer, copy.byteOffset, copy.length / 4);
}
