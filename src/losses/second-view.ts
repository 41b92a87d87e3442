import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Random } from '../engine/engine.ts';

/** How the second view of a sample, whose key is its positive, differs from the one that is trained. Its noise is always its own. */
export interface ViewSettings {
  /** A time of its own, or that of the first view. */
  readonly time: 'own' | 'same';
  /** Mirrored left to right by chance, one half of the views. */
  readonly flip: boolean;
  /** Moved by up to so many pixels either way, rows and columns each; the edge is repeated. */
  readonly shift: number;
}

/** The images of the second views, (B, H, W, C), drawn by purpose like all else of a step. */
export function secondView(images: Tensor, settings: ViewSettings, random: Random): Tensor {
  const b = images.shape[0];
  let view = images as Tensor4D;
  if (settings.flip) {
    const mirrored = tf.less(random.uniform('view-flip', [b]), 0.5);
    view = tf.where(tf.reshape(mirrored, [b, 1, 1, 1]), tf.reverse(view, 2), view);
  }
  return settings.shift > 0 ? shifted(view, settings.shift, random) : view;
}

/** Each image moved by up to `most` pixels along rows and columns; beyond the edge the edge. */
function shifted(images: Tensor4D, most: number, random: Random): Tensor {
  const [b, height, width, channels] = images.shape;
  const drawn = random.uniform('view-shift', [b, 2]);
  const span = 2 * most + 1;
  // The product may round up to the span itself.
  const moves = tf.sub(tf.minimum(tf.floor(tf.mul(drawn, span)), span - 1), most);
  const from = (size: number, column: number): Tensor =>
    tf.cast(tf.clipByValue(tf.add(tf.range(0, size), tf.slice(moves, [0, column], [b, 1])), 0, size - 1), 'int32');
  const whole = (n: number) => tf.scalar(n, 'int32');
  const rows = tf.mul(
    tf.add(from(height, 0), tf.mul(tf.reshape(tf.range(0, b, 1, 'int32'), [b, 1]), whole(height))),
    whole(width),
  );
  const pixels = tf.add(tf.reshape(rows, [b, height, 1]), tf.reshape(from(width, 1), [b, 1, width])); // (B, H, W)
  // By one axis: a gather with batches reads out of bounds under tfjs-wasm 4.22.
  const flat = tf.gather(tf.reshape(images, [-1, channels]), tf.reshape(pixels, [-1]));
  return tf.reshape(flat, images.shape);
}
