import type { Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/** Exponential moving average: decay * average + (1 - decay) * value, written as one step towards the value. */
export function emaUpdate(average: Tensor1D, value: Tensor1D, decay: number): Tensor1D {
  return tf.add(average, tf.mul(tf.sub(value, average), 1 - decay));
}
