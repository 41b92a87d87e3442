import type { Shape } from '../codec/images.ts';
import { unitPixels } from '../codec/unit-pixels.ts';
import type { Batch } from '../operators/batch.ts';

/** Cells along each side of an image, where it is as large. */
const CELLS = 4;
/** Features of a cell's channel: brightness, contrast, and edges across and down. */
const KINDS = 4;

/**
 * What is in a batch, in a few numbers: of its new samples the mean, over each of 4 x 4 cells and each channel, of the value, its
 * square, and the sizes of its differences to the left and upwards: (cells, channel, kind). They depend on the images alone,
 * not on the network, so that what they tell is the stream's own. Null where the batch has no new sample.
 * Where the cells do not divide a side, those of uneven size have a constant factor. Flips mirror half of every batch.
 */
export function inputFeatures(
  { images, archived, ids }: Pick<Batch, 'images' | 'archived' | 'ids'>,
  [height, width, channels]: Shape,
): Float64Array | null {
  const values = unitPixels(images);
  const again = new Set(archived);
  if (again.size === ids.length) return null;
  const [rows, columns] = [Math.min(CELLS, height), Math.min(CELLS, width)];
  const sums = new Float64Array(rows * columns * channels * KINDS);
  const row = width * channels;
  const elements = height * row;
  for (let b = 0; b < ids.length; b++) {
    if (again.has(b)) continue;
    for (let y = 0; y < height; y++) {
      const cellRow = Math.floor((y * rows) / height) * columns;
      for (let x = 0; x < width; x++) {
        const cell = (cellRow + Math.floor((x * columns) / width)) * channels;
        const at = b * elements + y * row + x * channels;
        for (let c = 0; c < channels; c++) {
          const value = values[at + c]!;
          const into = (cell + c) * KINDS;
          sums[into]! += value;
          sums[into + 1]! += value * value;
          if (x > 0) sums[into + 2]! += Math.abs(value - values[at + c - channels]!);
          if (y > 0) sums[into + 3]! += Math.abs(value - values[at + c - row]!);
        }
      }
    }
  }
  const count = (ids.length - again.size) * (height / rows) * (width / columns);
  return sums.map((sum) => sum / count);
}
