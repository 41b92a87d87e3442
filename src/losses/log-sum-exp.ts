import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * log sum exp over all elements of a matrix, or over each row ('rows': (A, M) -> (A)). Its gradient is the softmax,
 * written out: tfjs differentiates through the maximum as well, whose parts cancel only up to rounding. Over B (B + K)
 * pairs that rounding is as large as a pair's own weight, and it all lands on the nearest pair.
 */
export function logSumExp(x: Tensor, over: 'all' | 'rows'): Tensor {
  const axis = over === 'all' ? undefined : 1;
  const op = tf.customGrad((input, save) => {
    const logits = input as Tensor;
    const max = tf.max(logits, axis, true);
    const exp = tf.exp(tf.sub(logits, max));
    const sum = tf.sum(exp, axis, true);
    const softmax = tf.div(exp, sum);
    (save as tf.GradSaveFunc)([softmax]);
    return {
      value: tf.reshape(tf.add(tf.log(sum), max), over === 'all' ? [] : [logits.shape[0]]),
      gradFunc: (dy, saved) => tf.mul(saved[0], tf.reshape(dy, over === 'all' ? [1, 1] : [-1, 1])),
    };
  });
  return op(x);
}
