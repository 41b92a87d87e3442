import type { Tensor, Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Sinusoidal timestep features, order cos then sin (SiT, models.py TimestepEmbedder).
 * t: (B), scaled by the caller if at all. Returns (B, dim); dim must be even.
 */
export function timestepFeatures(t: Tensor1D, dim: number, maxPeriod = 10_000): Tensor2D {
  const half = dim / 2;
  const frequencies = Float32Array.from({ length: half }, (_, i) => Math.exp((-Math.log(maxPeriod) * i) / half));
  const angles = tf.mul(tf.reshape(t, [-1, 1]), tf.tensor2d(frequencies, [1, half]));
  return tf.concat([tf.cos(angles), tf.sin(angles)], 1) as Tensor2D;
}

/**
 * Rows of a table by label. labels: (B) int32, table: (classes, D). Returns (B, D).
 * By a one-hot product: exact, and its gradient is a product too (tfjs-wasm has no scatter-add for Gather's gradient).
 */
export function embed(labels: Tensor1D, table: Tensor2D): Tensor2D {
  return tf.matMul(tf.cast(tf.oneHot(labels, table.shape[0]), 'float32') as Tensor2D, table);
}

/**
 * Fixed 2-D sine-cosine positions (MAE's get_2d_sincos_pos_embed, as SiT uses it): the first half of the width
 * encodes the column, the second the row, each as sin then cos. Returns (1, rows * columns, dim); dim must divide by 4.
 */
export function positions2d(rows: number, columns: number, dim: number): Float32Array {
  const half = dim / 2;
  const quarter = dim / 4;
  const table = new Float32Array(rows * columns * dim);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const base = (row * columns + column) * dim;
      for (let i = 0; i < quarter; i++) {
        const omega = 1 / 10_000 ** (i / quarter);
        table[base + i] = Math.sin(column * omega);
        table[base + quarter + i] = Math.cos(column * omega);
        table[base + half + i] = Math.sin(row * omega);
        table[base + half + quarter + i] = Math.cos(row * omega);
      }
    }
  }
  return table;
}

/** Images to tokens. x: (B, H, W, C) -> (B, N, C*p*p), N = H/p * W/p; within a token channel, row, column. */
export function patchify(x: Tensor, p: number): Tensor3D {
  const [b, height, width, c] = x.shape;
  const [h, w] = [height / p, width / p];
  const split = tf.reshape(x, [b, h, p, w, p, c]);
  const ordered = tf.transpose(split, [0, 1, 3, 5, 2, 4]); // (B, h, w, C, p, p)
  return tf.reshape(ordered, [b, h * w, c * p * p]);
}

/** Tokens to images. x: (B, N, p*p*C) -> (B, H, W, C); within a token row, column, channel (SiT's unpatchify). */
export function unpatchify(x: Tensor, p: number, h: number, w: number, c: number): Tensor {
  const b = x.shape[0];
  const split = tf.reshape(x, [b, h, w, p, p, c]);
  const ordered = tf.transpose(split, [0, 1, 3, 2, 4, 5]); // (B, h, p, w, p, C)
  return tf.reshape(ordered, [b, h * p, w * p, c]);
}
