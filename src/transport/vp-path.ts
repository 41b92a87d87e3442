import * as tf from '@tensorflow/tfjs-core';
import { type Path, plan } from './path.ts';

/** beta(t) of the variance-preserving diffusion (Song et al. 2021), least at the data and greatest at the noise. */
const LEAST = 0.1;
const GREATEST = 20;

/**
 * The path of the variance-preserving diffusion, with time turned round: s = 1 - t, beta = 0.1 + 19.9 s,
 * ln alpha = -(19.9 s^2 / 4 + 0.1 s / 2), sigma = sqrt(1 - alpha^2). At t = 0 a rest of the data, alpha = e^-5.025, is left.
 */
export const vpPath: Path = {
  at(t) {
    const s = 1 - t;
    const log = -(((GREATEST - LEAST) * s * s) / 4 + (LEAST * s) / 2);
    const half = (LEAST + (GREATEST - LEAST) * s) / 2;
    const alpha = Math.exp(log);
    const sigma = Math.sqrt(-Math.expm1(2 * log));
    return { alpha, sigma, dAlpha: alpha * half, dSigma: (-alpha * alpha * half) / sigma, ratio: half, lambda: half };
  },
  of(t) {
    const s = tf.sub(1, t);
    const log = tf.neg(tf.mul(s, tf.add(tf.mul(s, (GREATEST - LEAST) / 4), LEAST / 2)));
    const half = tf.add(tf.mul(s, (GREATEST - LEAST) / 2), LEAST / 2);
    const alpha = tf.exp(log);
    // expm1: near the data 1 - alpha^2 would lose all its digits.
    const sigma = tf.sqrt(tf.neg(tf.expm1(tf.mul(log, 2))));
    const dSigma = tf.div(tf.neg(tf.mul(tf.square(alpha), half)), sigma);
    return { alpha, sigma, dAlpha: tf.mul(alpha, half), dSigma, ratio: half, lambda: half };
  },
  plan: (x0, x1, t) => plan(vpPath.of, x0, x1, t),
};
