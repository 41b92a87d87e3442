import * as tf from '@tensorflow/tfjs-core';
import { RepulsorError } from '../errors.ts';

interface CumsumAttributes {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

/** Gradients of tfjs 4.22 that are wrong without a word, on every backend: mended, or refused where it takes more than a line. */
export function mendGradients(): void {
  // tfjs's transposes the result as if the axis had not been the one that was asked for.
  replace('Cumsum', () => (dy, _saved, attributes) => {
    const { axis, exclusive, reverse } = attributes as unknown as CumsumAttributes;
    return { x: () => tf.cumsum(dy as tf.Tensor, axis, exclusive, !reverse) };
  });
  // It passes on what lies in the middle, and forgets what the mirror shows of it.
  replace('MirrorPad', () => () => {
    throw wrong('MirrorPad', 'build the padding of tf.slice, tf.reverse and tf.concat');
  });
  // Its kernels have no half-pixel centers.
  for (const kernel of ['ResizeBilinear', 'ResizeNearestNeighbor'])
    replace(kernel, (own) => (dy, saved, attributes) => {
      if (!attributes['halfPixelCenters']) return own(dy, saved, attributes);
      throw wrong(`${kernel} with half-pixel centers`, 'resize without them');
    });
}

function replace(kernelName: string, make: (own: tf.GradFunc) => tf.GradFunc): void {
  const config = tf.getGradient(kernelName);
  tf.unregisterGradient(kernelName);
  tf.registerGradient({ ...config, gradFunc: make(config.gradFunc) });
}

function wrong(what: string, hint: string): RepulsorError {
  return new RepulsorError('ENGINE_FAILED', `the gradient that tfjs has of ${what} is wrong`, { hint });
}
