import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { GuidanceSettings } from '../trainer/sampling-settings.ts';
import { overImages } from '../transport/path.ts';

/** s at a time. */
export function guidanceAt({ guidance, guidanceInterval: [from, to] }: GuidanceSettings, t: number): number {
  return t >= from && t <= to ? guidance : 1;
}

/**
 * Classifier-free guidance (Ho and Salimans 2022) of what the network gives, be it velocity, score or noise: these are
 * affine in each other at one time, so all three are guided alike. labelled, unlabelled: (B, H, W, C); scale: (B).
 */
export function guided(labelled: Tensor, unlabelled: Tensor, scale: Tensor1D, channels: number | null): Tensor {
  const all = labelled.shape.at(-1)!;
  if (channels !== null && channels < all) {
    const rest = tf.slice(labelled, [0, 0, 0, channels], [-1, -1, -1, all - channels]);
    const first = (of: Tensor) => tf.slice(of, [0, 0, 0, 0], [-1, -1, -1, channels]);
    return tf.concat([guided(first(labelled), first(unlabelled), scale, null), rest], 3);
  }
  return tf.add(unlabelled, tf.mul(overImages(scale, labelled.rank), tf.sub(labelled, unlabelled)));
}
