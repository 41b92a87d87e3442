import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { fused } from '../engine/fused.ts';

/** A branch joins the residual stream through its gate: x + gate h. x, h: (B, N, D); gate: (B, 1, D). */
export function gated(x: Tensor, gate: Tensor, h: Tensor): Tensor {
  const op = tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc;
    const [stream, by, branch] = args as Tensor[];
    save([by!, branch!]);
    return {
      value: fused('gated', [stream!, by!, branch!], (a, g, b) => [tf.add(a, tf.mul(g, b))])[0]!,
      gradFunc: (dy, saved) => {
        const [dGate, dBranch] = fused(
          'gatedGradient',
          [dy, ...saved],
          (d, g, b) => [tf.sum(tf.mul(d, b), 1, true), tf.mul(d, g)],
          [1],
        );
        return [dy, dGate!, dBranch!];
      },
    };
  });
  return op(x, gate, h);
}
