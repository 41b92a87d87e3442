import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { fused } from '../engine/fused.ts';
import { product } from '../engine/product.ts';
import { linear } from './linear.ts';

/** Multi-head self-attention with fused qkv (timm's Attention). x: (B, N, D) -> (B, N, D). */
export function attention(x: Tensor, parameters: Record<string, Tensor>, name: string, heads: number): Tensor {
  const qkv = linear(x, parameters[`${name}.qkv.weight`], parameters[`${name}.qkv.bias`]);
  const mixed = selfAttention(qkv, heads);
  return linear(mixed, parameters[`${name}.proj.weight`], parameters[`${name}.proj.bias`]);
}

/**
 * softmax(q k^T / sqrt(D/H)) v for each head. qkv: (B, N, 3D) -> (B, N, D). With the weights p and ds = p (dp - sum dp p),
 * its gradient is dv = p^T do, dq = ds k / sqrt(D/H), dk = ds^T q / sqrt(D/H): of the (N, N) matrices p alone is kept.
 */
export function selfAttention(qkv: Tensor, heads: number): Tensor {
  const width = qkv.shape[2]! / 3;
  const scale = Math.sqrt(heads / width);
  const op = tf.customGrad((input, save) => {
    const [q, k, v] = fused(
      `splitHeads${heads}`,
      [input as Tensor],
      (all) => {
        const [first, ...rest] = tf.split(all, 3, 2).map((part) => splitHeads(part, heads));
        return [tf.mul(first!, scale), ...rest];
      },
      [0, 1, 2],
    ) as Tensor3D[];
    const p = tf.softmax(product(q!, k!, false, true)); // (B*H, N, N)
    const [mixed] = fused(`joinHeads${heads}`, [product(p, v!)], (o) => [joinHeads(o, heads)], [0]);
    (save as tf.GradSaveFunc)([q!, k!, v!, p]);
    return { value: mixed!, gradFunc: (dy, saved) => gradient(dy, saved as Tensor3D[], heads, scale) };
  });
  return op(qkv);
}

function gradient(dy: Tensor, [q, k, v, p]: readonly Tensor3D[], heads: number, scale: number): Tensor {
  const [dMixed] = fused(`splitGradient${heads}`, [dy], (d) => [splitHeads(d, heads)], [0]) as [Tensor3D];
  const [ds] = fused(
    'softmaxGradient',
    [p!, product(dMixed, v!, false, true)],
    (weights, dp) => {
      return [tf.mul(weights, tf.sub(dp, tf.sum(tf.mul(dp, weights), -1, true)))];
    },
    [0],
  ) as [Tensor3D];
  // q was kept scaled already.
  const parts = [product(ds, k!), product(ds, q!, true), product(p!, dMixed, true)];
  return fused(
    `joinGradients${heads}`,
    parts,
    (dq, dk, dv) => [tf.concat([joinHeads(tf.mul(dq, scale), heads), joinHeads(dk, heads), joinHeads(dv, heads)], 2)],
    [0],
  )[0]!;
}

/** (B, N, D) -> (B*H, N, D/H) */
function splitHeads(x: Tensor, heads: number): Tensor {
  const [b, n, d] = x.shape as [number, number, number];
  const ordered = tf.transpose(tf.reshape(x, [b, n, heads, d / heads]), [0, 2, 1, 3]); // (B, H, N, D/H)
  return tf.reshape(ordered, [b * heads, n, d / heads]);
}

/** (B*H, N, D/H) -> (B, N, D) */
function joinHeads(x: Tensor, heads: number): Tensor {
  const [bh, n, dh] = x.shape as [number, number, number];
  const ordered = tf.transpose(tf.reshape(x, [bh / heads, heads, n, dh]), [0, 2, 1, 3]); // (B, N, H, D/H)
  return tf.reshape(ordered, [bh / heads, n, heads * dh]);
}
