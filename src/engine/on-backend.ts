import * as tf from '@tensorflow/tfjs-core';

/**
 * Calls synchronous `work` with `backend` as tfjs's current one, and puts back the one before. tfjs has one current
 * backend for the whole process: without this, two engines in a process would run each other's ops.
 */
export function onBackend<T>(backend: string, work: () => T): T {
  const before = tf.getBackend();
  if (before === backend) return work();
  // Asynchronous by its type only: for a backend that is already initialised the change is made before it returns.
  void tf.setBackend(backend);
  try {
    return work();
  } finally {
    if (before) void tf.setBackend(before);
  }
}
