// For its side effect: it registers the gradient of every op. tfjs-core's own list of them is written for bundlers and
// cannot be imported by Node (tfjs 4.22).
import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import { mendGradients } from './mended-gradients.ts';

mendGradients();

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
