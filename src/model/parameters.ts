import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { normals, uniforms } from '../random/philox.ts';

/**
 * All parameters of a model live in ONE flat float32 vector, so that the optimizer, the gradient norm, the EMA and the
 * momentum keys are a handful of large ops instead of a handful per tensor. A `ParameterLayout` names its parts.
 * Weights of linear layers are stored (out, in), as in the official PyTorch checkpoints.
 */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Initializer;
}

export type Initializer =
  | { readonly kind: 'zeros' }
  /** Glorot and Bengio 2010: U(-a, a) with a = sqrt(6 / (fan in + fan out)), over the tensor seen as a matrix. */
  | { readonly kind: 'xavier' }
  | { readonly kind: 'normal'; readonly std: number };

export interface ParameterLayout {
  readonly specs: readonly ParameterSpec[];
  /** Where each spec begins in the flat vector. */
  readonly offsets: readonly number[];
  /** Elements in all. */
  readonly size: number;
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

export function parameterLayout(specs: readonly ParameterSpec[]): ParameterLayout {
  const offsets: number[] = [];
  let size = 0;
  for (const spec of specs) {
    offsets.push(size);
    size += sizeOf(spec.shape);
  }
  return { specs, offsets, size };
}

/** The initial flat vector: a pure function of the seed, each parameter drawn from a stream of its own name. `flat` is zeros, or nothing. */
export function initialParameters(
  layout: ParameterLayout,
  seed: number,
  flat: Float32Array = new Float32Array(layout.size),
): Float32Array {
  for (const [i, spec] of layout.specs.entries()) {
    const count = sizeOf(spec.shape);
    const purpose = `init/${spec.name}`;
    const part = flat.subarray(layout.offsets[i], layout.offsets[i] + count);
    if (spec.init.kind === 'normal') {
      const std = spec.init.std;
      const z = normals(seed, purpose, 0, count);
      for (let k = 0; k < count; k++) part[k] = z[k] * std;
    } else if (spec.init.kind === 'xavier') {
      const fanOut = spec.shape[0];
      const a = Math.sqrt(6 / (fanOut + count / fanOut));
      const u = uniforms(seed, purpose, 0, count);
      for (let k = 0; k < count; k++) part[k] = (2 * u[k] - 1) * a;
    }
  }
  return flat;
}

/** The parts of a flat tensor by name, each in its shape. One Split op; its gradient is one Concat. */
export function unpack(flat: Tensor1D, layout: ParameterLayout): Record<string, Tensor> {
  const parts = tf.split(
    flat,
    layout.specs.map((spec) => sizeOf(spec.shape)),
  );
  return Object.fromEntries(layout.specs.map((spec, i) => [spec.name, tf.reshape(parts[i], [...spec.shape])]));
}

/** The parts of a flat host vector by name: views, not copies. */
export function views(
  flat: Float32Array,
  layout: ParameterLayout,
): Record<string, { shape: readonly number[]; dtype: 'float32'; data: Float32Array }> {
  return Object.fromEntries(
    layout.specs.map((spec, i) => {
      const data = flat.subarray(layout.offsets[i], layout.offsets[i] + sizeOf(spec.shape));
      return [spec.name, { shape: spec.shape, dtype: 'float32' as const, data }];
    }),
  );
}
