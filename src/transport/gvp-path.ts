import * as tf from '@tensorflow/tfjs-core';
import { type Path, plan } from './path.ts';

const QUARTER = Math.PI / 2;

/** The generalised variance-preserving path: alpha = sin(pi t / 2), sigma = cos(pi t / 2), so alpha^2 + sigma^2 = 1. */
export const gvpPath: Path = {
  at(t) {
    const [alpha, sigma] = [Math.sin(QUARTER * t), Math.cos(QUARTER * t)];
    const ratio = (QUARTER * sigma) / alpha;
    return { alpha, sigma, dAlpha: QUARTER * sigma, dSigma: -QUARTER * alpha, ratio, lambda: ratio };
  },
  of(t) {
    const angle = tf.mul(t, QUARTER);
    const [alpha, sigma] = [tf.sin(angle), tf.cos(angle)];
    const ratio = tf.mul(tf.div(sigma, alpha), QUARTER);
    return {
      ...{ alpha, sigma, dAlpha: tf.mul(sigma, QUARTER), dSigma: tf.mul(alpha, -QUARTER) },
      ...{ ratio, lambda: ratio },
    };
  },
  plan: (x0, x1, t) => plan(gvpPath.of, x0, x1, t),
};
