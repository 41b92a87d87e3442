import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { attention } from './attention.ts';
import { gated } from './gated.ts';
import { GELU } from './gelu.ts';
import { linear, linearSpecs } from './linear.ts';
import { modulatedNorm } from './modulated-norm.ts';
import type { ParameterSpec } from './parameters.ts';

/** The adaLN parameters of one block or layer: c (B, D), already through SiLU -> `count` tensors (B, 1, D). */
export function adaLN(c: Tensor, parameters: Record<string, Tensor>, name: string, count: number): Tensor[] {
  const all = linear(c, parameters[`${name}.weight`], parameters[`${name}.bias`]); // (B, count*D)
  return tf.split(tf.reshape(all, [c.shape[0], count, -1]), count, 1);
}

/** A transformer block with adaLN-Zero (Peebles and Xie 2023). x: (B, N, D), c: SiLU of the condition (B, D) -> (B, N, D). */
export function block(x: Tensor, c: Tensor, parameters: Record<string, Tensor>, name: string, heads: number): Tensor {
  const [shiftA, scaleA, gateA, shiftM, scaleM, gateM] = adaLN(c, parameters, `${name}.adaLN_modulation.1`, 6);
  const attended = attention(modulatedNorm(x, shiftA, scaleA), parameters, `${name}.attn`, heads);
  const y = gated(x, gateA, attended);
  const [w1, b1] = [parameters[`${name}.mlp.fc1.weight`], parameters[`${name}.mlp.fc1.bias`]];
  const hidden = linear(modulatedNorm(y, shiftM, scaleM), w1, b1);
  const mixed = linear(hidden, parameters[`${name}.mlp.fc2.weight`], parameters[`${name}.mlp.fc2.bias`], GELU);
  return gated(y, gateM, mixed);
}

/** Parameters of one block. adaLN starts at zero, so that a new block is the identity. */
export function blockSpecs(name: string, width: number, mlpRatio: number): ParameterSpec[] {
  const hidden = Math.round(width * mlpRatio);
  return [
    ...linearSpecs(`${name}.attn.qkv`, width, 3 * width),
    ...linearSpecs(`${name}.attn.proj`, width, width),
    ...linearSpecs(`${name}.mlp.fc1`, width, hidden),
    ...linearSpecs(`${name}.mlp.fc2`, hidden, width),
    ...linearSpecs(`${name}.adaLN_modulation.1`, width, 6 * width, { kind: 'zeros' }),
  ];
}
