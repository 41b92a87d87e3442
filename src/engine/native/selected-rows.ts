import * as tf from '@tensorflow/tfjs-core';

/** Pairs of a row and an index, at most: each is a comparison. */
const MOST_PAIRS = 2 ** 24;

/** Whether rows are overwritten as a queue's are: by an index each, and not so many that comparing all of them would cost more. */
export const canSelectRows = (into: tf.Tensor, indices: tf.Tensor): boolean =>
  indices.rank === 2 && indices.shape[1] === 1 && into.shape[0]! * indices.shape[0]! <= MOST_PAIRS;

/**
 * `into` (K, ...) with row `indices[j]` (n, 1) int32 replaced by `rows[j]` (n, ...), of equal indices the last: tf.tensorScatterUpdate, as a
 * choice that each row makes for itself. TensorFlow's compiler makes a scatter that has to be deterministic a loop over the n rows, of
 * small kernels each.
 */
export function selectRows(into: tf.Tensor, indices: tf.Tensor, rows: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const [k, n] = [into.shape[0]!, indices.shape[0]!];
    const whole = (value: number) => tf.scalar(value, 'int32');
    const slots = tf.range(0, k, 1, 'int32');
    const isFor = tf.equal(tf.reshape(slots, [k, 1]), tf.reshape(indices, [1, n]));
    // 1 for the first, so that 0 stands for none.
    const order = tf.range(1, n + 1, 1, 'int32');
    const last = tf.max(tf.mul(tf.cast(isFor, 'int32'), order), 1) as tf.Tensor1D;
    const chosen = tf.gather(rows, tf.maximum(tf.sub(last, whole(1)), whole(0)) as tf.Tensor1D);
    const isNew = tf.reshape(tf.greater(last, whole(0)), [k, ...Array(into.rank - 1).fill(1)]);
    return tf.where(tf.broadcastTo(isNew, into.shape), chosen, into);
  });
}
