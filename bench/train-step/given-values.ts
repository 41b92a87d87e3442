import { normals, uniforms } from '../../src/random/philox.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';

/** Images (B, H, W, C), standard normal, and labels (B), the same wherever they are asked for. */
export function givenBatch(pipeline: Pipeline, number: number): { images: Float32Array; labels: Int32Array } {
  const b = pipeline.operators.batch;
  const [height, width, channels] = pipeline.model.input;
  return {
    images: normals(0, 'bench/images', number, b * height * width * channels),
    labels: Int32Array.from(uniforms(0, 'bench/labels', number, b), (u) => Math.floor(u * pipeline.model.classes)),
  };
}

/** Rows of `dim` scaled to length 1, in place. */
export function unitRows(rows: Float32Array, dim: number): Float32Array {
  for (let at = 0; at < rows.length; at += dim) {
    const row = rows.subarray(at, at + dim);
    const length = Math.hypot(...row);
    for (let i = 0; i < dim; i++) row[i] = row[i]! / length;
  }
  return rows;
}
