import type { Posterior, VaeEncoder } from '../autoencoder/vae-encoder.ts';
import { BadRecord } from '../codec/bad-record.ts';
import { decodeImages, type Shape } from '../codec/images.ts';
import type { Encoder } from '../codec/records.ts';
import { normals } from '../random/philox.ts';
import type { ImageSource, SourceImage, UnreadableImage } from './source.ts';

/** What is kept of what the encoder says of an image. */
export type Keeping =
  /** The distribution, of which each step that trains on it draws anew, as the official code does. */
  | 'moments'
  /** Its mean; of an encoder that gives points, the point. */
  | 'mean'
  /** One draw, the same each time. */
  | 'sample';

export interface EncodedSettings {
  readonly encoder: VaeEncoder;
  readonly keeping: Keeping;
  /** Written into the records. */
  readonly named: Encoder;
  /** Encode each image mirrored left to right, too. */
  readonly mirror: boolean;
  /** What was encoded of the images that were read, u8 of a shape, before it is written. */
  readonly onEncoded?: (images: readonly Uint8Array[], shape: Shape, posteriors: readonly Posterior[]) => Promise<void>;
}

interface Decoded {
  readonly image: SourceImage;
  readonly pixels: Uint8Array;
  readonly shape: Shape;
  /** How many came before, mirrored ones counted: keys its draw. */
  readonly ordinal: number;
}

/**
 * The images of a source as latents, in their order: u8 pixels -> [-1, 1] -> encoder. What cannot be decoded is unreadable
 * with its reason, as are images that the encoder does not take, or whose latents are not finite. The same latents each time: nothing is drawn but by Philox, keyed
 * by an image's number.
 * @throws what the encoder throws, but for images that do not fit it
 */
export function encodedSource(source: ImageSource, settings: EncodedSettings): ImageSource {
  const { encoder, keeping, mirror } = settings;
  return {
    ...source,
    id: `${source.id}, ${keeping} of ${encoder.sha256.slice(0, 12)}`,
    total: source.total * (mirror ? 2 : 1),
    async *images() {
      let group: Decoded[] = []; // of one shape
      let ordinal = 0;
      const encodeWhole = () => {
        const whole = group;
        group = [];
        return encodeGroup(whole, settings);
      };
      for await (const image of source.images()) {
        const decoded = 'unreadable' in image ? image : await decode(image, encoder.channels);
        if ('unreadable' in decoded) {
          yield* await encodeWhole();
          yield decoded;
          continue;
        }
        const { pixels, shape } = decoded;
        if (group.length > 0 && group[0]!.shape.join() !== shape.join()) yield* await encodeWhole();
        group.push({ ...decoded, ordinal: ordinal++ });
        if (mirror) group.push({ ...decoded, pixels: mirrored(pixels, shape), ordinal: ordinal++ });
        if (group.length >= encoder.atOnce(shape)) yield* await encodeWhole();
      }
      yield* await encodeWhole();
    },
  };
}

/** Files are brought to the channels that the encoder takes, or to 3; raw pixels are what they are. */
async function decode(
  image: SourceImage,
  channels: number | null,
): Promise<UnreadableImage | Pick<Decoded, 'image' | 'pixels' | 'shape'>> {
  const [height, width, own] = image.shape;
  const shape: Shape = [height, width, image.encoding === 'RAW_U8' ? own : (channels ?? 3)];
  const batch = {
    ...image,
    shape: [...shape],
    images: [image.bytes],
    labels: null,
    eventTime: 0,
    source: '',
    encoder: null,
  };
  try {
    const [pixels] = await decodeImages(batch);
    if (pixels instanceof BadRecord) return { name: image.name, unreadable: `${pixels.message}; ${pixels.hint}` };
    return { image, pixels: pixels as Uint8Array, shape };
  } catch (error) {
    if (!(error instanceof BadRecord)) throw error;
    return { name: image.name, unreadable: error.message };
  }
}

async function encodeGroup(
  group: readonly Decoded[],
  { encoder, keeping, named, onEncoded }: EncodedSettings,
): Promise<(SourceImage | UnreadableImage)[]> {
  if (group.length === 0) return [];
  const images = group.map(({ pixels }) => pixels);
  const posteriors = await encoder.encode(images, group[0]!.shape).catch((error: unknown) => {
    if (error instanceof BadRecord) return error;
    throw error;
  });
  // They are all of one shape.
  if (posteriors instanceof BadRecord)
    return group.map(({ image: { name } }) => ({ name, unreadable: posteriors.message }));
  await onEncoded?.(images, group[0]!.shape, posteriors);
  return group.map(({ image, ordinal }, i) => {
    const { shape } = posteriors[i]!;
    const values = kept(posteriors[i]!, keeping, ordinal);
    if (!values.every(Number.isFinite))
      return { name: image.name, unreadable: 'the encoder gives latents that are not finite' };
    const encoding = keeping === 'moments' ? 'LATENT_MOMENTS_F32' : 'LATENT_F32';
    return { name: image.name, label: image.label, shape, encoding, bytes: littleEndian(values), encoder: named };
  });
}

function kept({ mean, std }: Posterior, keeping: Keeping, ordinal: number): Float32Array {
  if (keeping === 'mean' || std === null) return mean;
  if (keeping === 'sample') {
    const z = normals(0, 'encode', ordinal, mean.length);
    return mean.map((value, i) => value + std[i]! * z[i]!);
  }
  const both = new Float32Array(2 * mean.length);
  both.set(mean);
  both.set(std, mean.length);
  return both;
}

function mirrored(pixels: Uint8Array, [height, width, channels]: Shape): Uint8Array {
  const out = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let k = 0; k < channels; k++)
        out[(y * width + x) * channels + k] = pixels[(y * width + width - 1 - x) * channels + k]!;
  return out;
}

function littleEndian(values: Float32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, values[i]!, true);
  return new Uint8Array(view.buffer);
}
