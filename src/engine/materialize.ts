import * as tf from '@tensorflow/tfjs-core';

/** Name of the kernel that an engine registers which compiles more than functions. */
export const MATERIALIZE = 'RepulsorMaterialize';

tf.registerGradient({ kernelName: MATERIALIZE, gradFunc: (dy) => ({ x: () => dy as tf.Tensor }) });

/**
 * The tensor as it is, in memory before anything reads it. A compiler of whole programs would else compute it anew in each op that
 * does: of a vector put together from a hundred parts that is a hundred branches an element, in every one of them.
 */
export function materialize<T extends tf.Tensor>(x: T): T {
  if (tf.getKernel(MATERIALIZE, tf.getBackend()) === undefined) return x;
  return tf.engine().runKernel(MATERIALIZE, { x }) as T;
}
