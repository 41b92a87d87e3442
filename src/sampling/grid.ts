import { writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { RepulsorError } from '../errors.ts';

export interface GridSettings {
  /** Height, width, channels of each image. */
  readonly shape: readonly [number, number, number];
  readonly columns: number;
  /** Each pixel becomes a square of this many; default: so that an image is about 64 pixels high. */
  readonly zoom?: number;
}

/** Pixels between images. */
const GAP = 2;

/**
 * Images (n, H, W, C) in [-1, 1], side by side row by row, as the bytes of an 8-bit raster on a white ground.
 * C is 1 (grey) or 3 (colour).
 */
export function gridRaster(
  images: Float32Array,
  { shape, columns }: GridSettings,
): { width: number; height: number; channels: 1 | 3; data: Uint8Array } {
  demandPicture(shape);
  const [h, w] = shape;
  const c = shape[2] as 1 | 3;
  const count = images.length / (h * w * c);
  const rows = Math.ceil(count / columns);
  const width = columns * (w + GAP) + GAP;
  const height = rows * (h + GAP) + GAP;
  const data = new Uint8Array(width * height * c).fill(255);
  for (let n = 0; n < count; n++) {
    const top = GAP + Math.floor(n / columns) * (h + GAP);
    const left = GAP + (n % columns) * (w + GAP);
    for (let y = 0; y < h; y++) {
      const to = ((top + y) * width + left) * c;
      const from = (n * h + y) * w * c;
      for (let k = 0; k < w * c; k++)
        data[to + k] = Math.round(127.5 * (Math.min(1, Math.max(-1, images[from + k])) + 1));
    }
  }
  return { width, height, channels: c, data };
}

/** Pictures have 1 or 3 channels; latents have others. @throws RepulsorError USAGE */
export function demandPicture([, , channels]: GridSettings['shape']): void {
  if (channels !== 1 && channels !== 3)
    throw new RepulsorError('USAGE', `images of ${channels} channels cannot be shown as a picture`, {
      hint: 'latents need their decoder: --decode decoder.onnx; or take them as they are: --out latents.safetensors',
    });
}

/** Writes the grid as a PNG, each pixel a square. @throws RepulsorError STORE_FAILED */
export async function writeGrid(file: string, images: Float32Array, settings: GridSettings): Promise<void> {
  const { width, height, channels, data } = gridRaster(images, settings);
  const zoom = settings.zoom ?? Math.max(1, Math.round(64 / settings.shape[0]));
  const png = await sharp(data, { raw: { width, height, channels } })
    .resize(width * zoom, height * zoom, { kernel: 'nearest' })
    .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    .png()
    .toBuffer();
  await writeFile(file, png).catch((cause: Error) => {
    throw new RepulsorError('STORE_FAILED', `the picture ${file} cannot be written: ${cause.message}`, {
      hint: 'name a file in a folder that is there and may be written to',
      cause,
    });
  });
}
