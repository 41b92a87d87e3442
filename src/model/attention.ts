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
        const [first, ...rest] = [0, 1, 2].map((part) => headsOf(all, part, heads));
        return [tf.mul(first!, scale), ...rest];
      },
      [0, 1, 2],
    ) as Tensor3D[];
    const p = tf.softmax(product(q!, k!, false, true)); // (B*H, N, N)
    (save as tf.GradSaveFunc)([q!, k!, v!, p]);
    return {
      value: joinHeads(product(p, v!), heads),
      gradFunc: (dy, saved) => gradient(dy, saved as Tensor3D[], heads, scale),
    };
  });
  return op(qkv);
}

function gradient(dy: Tensor, [q, k, v, p]: readonly Tensor3D[], heads: number, scale: number): Tensor {
  const dMixed = splitHeads(dy, heads);
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
    (dq, dk, dv) => [joinParts([tf.mul(dq, scale), dk, dv], heads)],
    [0],
  )[0]!;
}

/** (B, N, D) -> (B*H, N, D/H) */
function splitHeads(x: Tensor, heads: number): Tensor3D {
  const [b, n, d] = x.shape as [number, number, number];
  const ordered = tf.transpose(tf.reshape(x, [b, n, heads, d / heads]), [0, 2, 1, 3]); // (B, H, N, D/H)
  return tf.reshape(ordered, [b * heads, n, d / heads]);
}

/** The heads of q, k or v (part 0, 1 or 2). (B, N, 3D) -> (B*H, N, D/H) */
function headsOf(qkv: Tensor, part: number, heads: number): Tensor {
  const [b, n, width] = qkv.shape as [number, number, number];
  const dh = width / 3 / heads;
  const parts = tf.reshape(qkv, [b, n, 3, heads, dh]);
  return splitHeads(tf.reshape(tf.slice(parts, [0, 0, part, 0, 0], [b, n, 1, heads, dh]), [b, n, heads * dh]), heads);
}

/** q, k and v side by side again. Three of (B*H, N, D/H) -> (B, N, 3D) */
function joinParts(parts: readonly Tensor[], heads: number): Tensor {
  const [bh, n, dh] = parts[0]!.shape as [number, number, number];
  // Side by side on an axis of their own: where the compiler must find out by a division which part an element is of,
  // it takes twice the time.
  const ordered = parts.map((part) => tf.reshape(joinHeads(part, heads), [bh / heads, n, 1, heads, dh]));
  return tf.reshape(tf.concat(ordered, 2), [bh / heads, n, 3 * heads * dh]);
}

/** (B*H, N, D/H) -> (B, N, D) */
function joinHeads(x: Tensor, heads: number): Tensor {
  const [bh, n, dh] = x.shape as [number, number, number];
  const ordered = tf.transpose(tf.reshape(x, [bh / heads, heads, n, dh]), [0, 2, 1, 3]); // (B, N, H, D/H)
  return tf.reshape(ordered, [bh / heads, n, heads * dh]);
}
