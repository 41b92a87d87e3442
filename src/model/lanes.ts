import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/** A part of a batch, and its share of the batch's samples. */
export interface Lane<T> {
  readonly part: T;
  readonly share: number;
}

/**
 * A batch cut into at most `lanes` parts of its samples. What is computed of one needs nothing of another, so that an engine with
 * lanes (src/engine/engine.ts) computes them beside each other, up to where they are put together again. batch: tensors
 * whose first axis is the samples', (B, ...).
 */
export function lanesOf<T extends { readonly [name in keyof T]: Tensor }>(batch: T, lanes: number): Lane<T>[] {
  const entries = Object.entries<Tensor>(batch);
  const b = entries[0]![1].shape[0]!;
  const count = Math.min(lanes, b);
  if (count === 1) return [{ part: batch, share: 1 }];
  const sizes = Array.from(
    { length: count },
    (_, i) => Math.floor(((i + 1) * b) / count) - Math.floor((i * b) / count),
  );
  const cut = entries.map(([name, tensor]) => [name, tf.split(tensor, sizes)] as const);
  return sizes.map((size, i) => {
    const part = Object.fromEntries(cut.map(([name, tensors]) => [name, tensors[i]!]));
    return { part: part as unknown as T, share: size / b };
  });
}

/** Parts (b, ...) of a batch's lanes, in their order, as (B, ...). */
export function joinLanes(parts: readonly Tensor[]): Tensor {
  return parts.length === 1 ? parts[0]! : tf.concat([...parts]);
}
