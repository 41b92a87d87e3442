import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { SiTInput } from './sit.ts';

/**
 * `fn` of the batch, computed in `lanes` parts that do not depend on each other, so that an engine with lanes (src/engine/engine.ts) runs
 * them beside each other. `fn` gives tensors whose first axis is the batch's, (B, ...); the parts are put together again.
 */
export function inLanes(input: SiTInput, lanes: number, fn: (part: SiTInput) => readonly Tensor[]): Tensor[] {
  const b = input.x.shape[0]!;
  const count = Math.min(lanes, b);
  if (count === 1) return [...fn(input)];
  const sizes = Array.from(
    { length: count },
    (_, i) => Math.floor(((i + 1) * b) / count) - Math.floor((i * b) / count),
  );
  const cut = <T extends Tensor>(tensor: T): T[] => tf.split(tensor as Tensor, sizes) as T[];
  const [x, t, labels] = [cut(input.x), cut<Tensor1D>(input.t), cut<Tensor1D>(input.labels)];
  const parts = sizes.map((_, i) => fn({ x: x[i]!, t: t[i]!, labels: labels[i]! }));
  return parts[0]!.map((_, i) => tf.concat(parts.map((part) => part[i]!)));
}
