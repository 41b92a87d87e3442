import { loadSharp } from './image-file.ts';
import type { Shape } from './images.ts';

/** An image of more pixels is refused before it is decoded: 16384 x 16384. */
const MOST_PIXELS = 2 ** 28;

/**
 * An image file as u8 pixels of `shape` (channels 1, 3 or 4), row-major HWC: turned upright by its orientation tag, its
 * colours brought to sRGB by its profile, scaled (Lanczos) until it covers the shape, cut at the centre. Transparency
 * is laid on white where the shape has no alpha.
 * @throws Error of the decoder, when the file is damaged or too large
 */
export async function resizeImageFile(bytes: Uint8Array, shape: Shape): Promise<Uint8Array> {
  const [height, width, channels] = shape;
  const sharp = await loadSharp();
  const scaled = sharp(bytes, { failOn: 'warning', limitInputPixels: MOST_PIXELS, pages: 1 })
    .autoOrient()
    .resize({ height, width, fit: 'cover', position: 'centre', kernel: 'lanczos3' });
  const converted =
    channels === 4
      ? scaled.ensureAlpha().toColourspace('srgb')
      : scaled.flatten({ background: 'white' }).toColourspace(channels === 1 ? 'b-w' : 'srgb');
  const { data, info } = await converted.raw().toBuffer({ resolveWithObject: true });
  if (info.height !== height || info.width !== width || info.channels !== channels) {
    throw new Error(`scaling gave ${info.height}x${info.width}x${info.channels}, not ${shape.join('x')}`);
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
