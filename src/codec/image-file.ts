import type { Metadata, Sharp, SharpOptions } from 'sharp';
import { BadRecord } from './bad-record.ts';

export type FileEncoding = 'PNG' | 'JPEG' | 'WEBP';

type Open = (bytes: Uint8Array, options: SharpOptions) => Sharp;
let opener: Promise<Open> | null = null;

/** Loaded when the first image file comes: runs on raw pixels or latents never pay for libvips. */
export function loadSharp(): Promise<Open> {
  opener ??= import('sharp').then(({ default: sharp }) => {
    // One thread an image and no cache of operations: images decode side by side anyway, and memory stays what it is.
    sharp.concurrency(1);
    sharp.cache(false);
    return sharp;
  });
  return opener;
}

/** Which loader libvips takes is the file's first bytes' choice, so those are held to the format the record names. */
const SIGNATURES: Record<FileEncoding, (bytes: Uint8Array) => boolean> = {
  PNG: (bytes) => startsWith(bytes, 0, '\x89PNG\r\n\x1a\n'),
  JPEG: (bytes) => startsWith(bytes, 0, '\xff\xd8\xff'),
  WEBP: (bytes) => startsWith(bytes, 0, 'RIFF') && startsWith(bytes, 8, 'WEBP'),
};

function startsWith(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** The format that the bytes begin like, or null. */
export function sniffEncoding(bytes: Uint8Array): FileEncoding | null {
  const found = Object.entries(SIGNATURES).find(([, fits]) => fits(bytes));
  return found === undefined ? null : (found[0] as FileEncoding);
}

/** No orientation, no colour profile, no animation: the pixels are taken as they are stored. */
const AS_STORED: SharpOptions = { ignoreIcc: true, autoOrient: false, pages: 1, failOn: 'warning' };

/**
 * Decodes a PNG, JPEG or WebP file to u8 pixels of `shape` (height, width, channels 1, 3 or 4), row-major HWC.
 * The header is held to the shape before a pixel is decoded, which is what stops decompression bombs. Grey becomes RGB,
 * and what has no alpha becomes opaque, where the shape says so; nothing is dropped to make an image fit.
 * @throws BadRecord image, shape
 */
export async function decodeImageFile(
  bytes: Uint8Array,
  encoding: FileEncoding,
  shape: readonly [height: number, width: number, channels: number],
): Promise<Uint8Array> {
  const [height, width, channels] = shape;
  const { metadata, sharp } = await readHeader(bytes, encoding);
  if (metadata.height !== height || metadata.width !== width) {
    throw new BadRecord('shape', `is ${metadata.height}x${metadata.width}, not ${height}x${width}`);
  }
  if (metadata.depth !== 'uchar') throw new BadRecord('image', `has ${metadata.depth} channels, not 8 bits each`);
  const stored = metadata.space === 'cmyk' ? 3 : metadata.channels;
  if (!holds(channels, stored)) throw new BadRecord('shape', `has ${stored} channels, not ${channels}`);
  try {
    const image = sharp(bytes, { ...AS_STORED, limitInputPixels: height * width });
    const converted =
      channels === 1
        ? image.toColourspace('b-w')
        : channels === 3
          ? image.removeAlpha().toColourspace('srgb')
          : image.ensureAlpha().toColourspace('srgb');
    const { data, info } = await converted.raw().toBuffer({ resolveWithObject: true });
    if (info.height !== height || info.width !== width || info.channels !== channels) {
      throw new BadRecord('shape', `decodes to ${info.height}x${info.width}x${info.channels}, not ${shape.join('x')}`);
    }
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  } catch (cause) {
    if (cause instanceof BadRecord) throw cause;
    throw new BadRecord('image', `does not decode as ${encoding}: ${(cause as Error).message}`, cause);
  }
}

/** True when `stored` channels (2 is grey with alpha) fit into `wanted` without a loss. */
const holds = (wanted: number, stored: number): boolean =>
  wanted === 4 || stored === 1 || (wanted === 3 && stored === 3);

/** Height, width and channels as the file's header says. @throws BadRecord image */
export async function readImageShape(bytes: Uint8Array, encoding: FileEncoding): Promise<[number, number, number]> {
  const { metadata } = await readHeader(bytes, encoding);
  const stored = metadata.space === 'cmyk' ? 3 : metadata.channels;
  return [metadata.height, metadata.width, stored === 2 ? 4 : stored];
}

async function readHeader(bytes: Uint8Array, encoding: FileEncoding): Promise<{ metadata: Metadata; sharp: Open }> {
  if (!SIGNATURES[encoding](bytes)) throw new BadRecord('image', `is not ${encoding}: ${start(bytes)}`);
  const sharp = await loadSharp();
  let metadata: Metadata;
  try {
    // Only the header is read here: its claim is judged by the caller, whatever its size.
    metadata = await sharp(bytes, { ...AS_STORED, limitInputPixels: false }).metadata();
  } catch (cause) {
    throw new BadRecord('image', `has no readable ${encoding} header: ${(cause as Error).message}`, cause);
  }
  if ((metadata.pages ?? 1) > 1) throw new BadRecord('image', `is an animation of ${metadata.pages} images`);
  return { metadata, sharp };
}

const start = (bytes: Uint8Array): string =>
  bytes.length === 0 ? 'it is empty' : `it begins with ${Buffer.from(bytes.subarray(0, 4)).toString('hex')}`;
