import * as tf from '@tensorflow/tfjs-core';

/** Else tfjs's plain-JavaScript backend, at its first use, advertises tfjs-node on standard error. */
export function silenceCpuBackend(): void {
  (tf.findBackend('cpu') as unknown as { firstUse: boolean }).firstUse = false;
}
