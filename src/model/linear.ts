import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { ParameterSpec } from './parameters.ts';

/** y = x W^T + b over the last axis. x: (..., in), W: (out, in), b: (out). Returns (..., out). */
export function linear(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const [out, inputs] = weight.shape;
  // One plain matrix product whatever the rank: tfjs's batched product would broadcast W to every batch entry.
  const rows = tf.reshape(x, [-1, inputs]);
  const y = tf.add(tf.matMul(rows, weight as tf.Tensor2D, false, true), bias);
  return tf.reshape(y, [...x.shape.slice(0, -1), out]);
}

/** Weight and bias of a linear layer, in the official checkpoints' names. The bias starts at zero. */
export function linearSpecs(
  name: string,
  inputs: number,
  out: number,
  init: ParameterSpec['init'] = { kind: 'xavier' },
): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [out, inputs], init },
    { name: `${name}.bias`, shape: [out], init: { kind: 'zeros' } },
  ];
}
