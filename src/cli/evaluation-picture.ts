import type { Shape } from '../codec/images.ts';
import type { ImageSet } from '../evaluation/image-set.ts';
import { sizeOf } from '../model/parameters.ts';
import { writeGrid } from '../sampling/grid.ts';

/** Of each class in the picture. */
const SHOWN = 10;
/** Classes in the picture. */
const ROWS = 20;

/** Keeps some of each class while they pass, for a picture of them. */
export function evaluationPicture(shape: Shape) {
  const kept = new Map<number, Float32Array[]>();
  const size = sizeOf(shape);
  return {
    watch: (set: ImageSet): ImageSet => ({
      ...set,
      async *chunks() {
        for await (const chunk of set.chunks()) {
          for (const [i, label] of chunk.labels.entries()) {
            if (!kept.has(label) && kept.size === ROWS) continue;
            const row = kept.get(label) ?? [];
            kept.set(label, row);
            if (row.length < SHOWN) row.push(chunk.images.slice(i * size, (i + 1) * size));
          }
          yield chunk;
        }
      },
    }),
    /** Null for what is no picture. */
    async write(out: string): Promise<string | null> {
      if (![1, 3].includes(shape[2])) return null;
      const rows = [...kept].sort(([a], [b]) => a - b).map(([, images]) => images);
      const columns = Math.max(...rows.map((row) => row.length));
      const all = new Float32Array(rows.length * columns * size).fill(1);
      for (const [y, row] of rows.entries())
        for (const [x, image] of row.entries()) all.set(image, (y * columns + x) * size);
      await writeGrid(out, all, { shape, columns });
      return out;
    },
  };
}
