import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { fused } from '../engine/fused.ts';
import { product } from '../engine/product.ts';
import type { ParameterSpec } from './parameters.ts';

/** What an input goes through before a layer's product. Rows of any number. */
export interface Activation {
  value(x: Tensor): Tensor;
  /** From d, the gradient of the value: that of x; and the value once more, which nobody has kept. */
  gradientAndValue(d: Tensor, x: Tensor): [Tensor, Tensor];
}

const IDENTITY: Activation = { value: (x) => x, gradientAndValue: (d, x) => [d, x] };

/**
 * y = f(x) W^T + b over the last axis, f the identity where none is given. x: (..., in), W: (out, in), b: (out). Returns (..., out).
 * Its gradients are f'(x) dy W for x, dW = dy^T f(x) and db = sum dy. Of x and f(x) only x is kept.
 */
export function linear(x: Tensor, weight: Tensor, bias: Tensor, activation = IDENTITY): Tensor {
  const [out, inputs] = weight.shape as [number, number];
  const op = tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc;
    const [input, w, b] = args as [Tensor, Tensor2D, Tensor];
    // One plain matrix product whatever the rank: tfjs's batched product would broadcast W to every batch entry.
    const rows = tf.reshape(input, [-1, inputs]) as Tensor2D;
    save([rows, w]);
    return {
      value: tf.reshape(product(activation.value(rows), w, false, true, b), [...input.shape.slice(0, -1), out]),
      gradFunc: (dy, saved) => {
        const [r, v] = saved as [Tensor2D, Tensor2D];
        const d = tf.reshape(dy, [-1, out]) as Tensor2D;
        const [db] = fused('columnSums', [d], (all) => [tf.sum(all, 0)]);
        const [dx, active] = activation.gradientAndValue(product(d, v), r);
        return [tf.reshape(dx, input.shape), product(d, active as Tensor2D, true), db!];
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
