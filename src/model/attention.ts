import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { linear } from './linear.ts';

/** Multi-head self-attention with fused qkv (timm's Attention). x: (B, N, D) -> (B, N, D). */
export function attention(x: Tensor, parameters: Record<string, Tensor>, name: string, heads: number): Tensor {
  const [b, n, d] = x.shape;
  const qkv = linear(x, parameters[`${name}.qkv.weight`], parameters[`${name}.qkv.bias`]);
  const ordered = tf.transpose(tf.reshape(qkv, [b, n, 3, heads, d / heads]), [2, 0, 3, 1, 4]); // (3, B, H, N, D/H)
  const [q, k, v] = tf
    .split(tf.reshape(ordered, [3, b * heads, n, d / heads]), 3)
    .map((part) => tf.reshape(part, [b * heads, n, d / heads]));
  const scale = Math.sqrt(heads / d);
  const weights = tf.softmax(tf.matMul(tf.mul(q, scale), k, false, true)); // (B*H, N, N)
  const mixed = tf.reshape(tf.matMul(weights, v), [b, heads, n, d / heads]);
  const joined = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [b, n, d]);
  return linear(joined, parameters[`${name}.proj.weight`], parameters[`${name}.proj.bias`]);
}
