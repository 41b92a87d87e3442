import * as tf from '@tensorflow/tfjs-core';
import { overImages, type Path } from './path.ts';

/** The linear path: alpha = t, sigma = 1 - t; so x_t = t x1 + (1 - t) x0 and u = x1 - x0. */
export const linearPath: Path = {
  at: (t) => ({ alpha: t, sigma: 1 - t, dAlpha: 1, dSigma: -1, ratio: 1 / t, lambda: (1 - t) / t }),
  of(t) {
    const [one, sigma] = [tf.onesLike(t), tf.sub(1, t)];
    return { alpha: t, sigma, dAlpha: one, dSigma: tf.neg(one), ratio: tf.reciprocal(t), lambda: tf.div(sigma, t) };
  },
  // Not by its coefficients: fewer passes, and the bits of runs that began before there were other paths.
  plan(x0, x1, t) {
    const velocity = tf.sub(x1, x0);
    return { xt: tf.add(x0, tf.mul(overImages(t, x1.rank), velocity)), velocity };
  },
};
