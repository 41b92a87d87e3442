import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { fused } from '../engine/fused.ts';
import { product } from '../engine/product.ts';
import type { ParameterSpec } from './parameters.ts';

/**
 * y = x W^T + b over the last axis. x: (..., in), W: (out, in), b: (out). Returns (..., out).
 * Its gradients are dx = dy W, dW = dy^T x and db = sum dy.
 */
export function linear(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const [out, inputs] = weight.shape as [number, number];
  const op = tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc;
    const [input, w, b] = args as [Tensor, Tensor2D, Tensor];
    // One plain matrix product whatever the rank: tfjs's batched product would broadcast W to every batch entry.
    const rows = tf.reshape(input, [-1, inputs]) as Tensor2D;
    save([rows, w]);
    return {
      value: tf.reshape(product(rows, w, false, true, b), [...input.shape.slice(0, -1), out]),
      gradFunc: (dy, saved) => {
        const [r, v] = saved as [Tensor2D, Tensor2D];
        const d = tf.reshape(dy, [-1, out]) as Tensor2D;
        const [db] = fused('columnSums', [d], (all) => [tf.sum(all, 0)]);
        return [tf.reshape(product(d, v), input.shape), product(d, r, true), db!];
      },
    };
  });
  return op(x, weight, bias);
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
