import type { Scalar, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Engine, HostTensor, ProgramFunction } from '../engine/engine.ts';
import { type ParameterLayout, sizeOf, unpack } from '../model/parameters.ts';
import { nullClass, type SiTSettings, sit } from '../model/sit.ts';
import { normals } from '../random/philox.ts';
import { SOLVERS } from './solvers.ts';

export interface SampleRequest {
  readonly model: SiTSettings;
  readonly layout: ParameterLayout;
  /** The weights to sample from (the EMA's), flat, in `layout`. */
  readonly parameters: HostTensor;
  /** One class per image wanted. */
  readonly labels: readonly number[];
  readonly solver: keyof typeof SOLVERS;
  readonly steps: number;
  /** Classifier-free guidance scale s: v = v_null + s (v_label - v_null). 1 is none, and costs half. */
  readonly guidance: number;
  readonly seed: number;
  /** Called after each evaluation, with the share done in (0, 1]. */
  readonly onProgress?: (done: number) => void;
}

/** Images of one engine call. The last call of a request is filled up, so that one program serves all. */
const BATCH = 100;

/**
 * Images (n, H, W, C), row-major, in the model's own range, which is [-1, 1] for images of bytes. Image i depends on
 * (seed, i, its label) alone: neither on how many are asked for nor on their order elsewhere.
 */
export async function sample(engine: Engine, request: SampleRequest): Promise<Float32Array> {
  const { model, labels, seed, steps } = request;
  const size = sizeOf(model.input);
  const b = Math.min(BATCH, labels.length);
  const program = await engine.compile({
    name: 'sample',
    seed,
    state: { parameters: request.parameters },
    inputs: {
      x: { shape: [b, ...model.input], dtype: 'float32' },
      t: { shape: [], dtype: 'float32' },
      labels: { shape: [b], dtype: 'int32' },
      guidance: { shape: [], dtype: 'float32' },
    },
    fn: guidedVelocity(model, request.layout, request.guidance !== 1),
  });
  try {
    const images = new Float32Array(labels.length * size);
    const evaluations = Math.ceil(labels.length / b) * steps * (request.solver === 'heun' ? 2 : 1);
    let done = 0;
    for (let from = 0; from < labels.length; from += b) {
      const wanted = Int32Array.from({ length: b }, (_, i) => labels[from + i] ?? nullClass(model));
      const noise = new Float32Array(b * size);
      for (let i = 0; i < b; i++) noise.set(normals(seed, 'sample', from + i, size), i * size);
      const velocity = async (x: Float32Array, t: number) => {
        const guidance = Float32Array.of(request.guidance);
        const out = await program.run({ x, t: Float32Array.of(t), labels: wanted, guidance }, 0);
        request.onProgress?.(++done / evaluations);
        return out['velocity'].data as Float32Array;
      };
      const made = await SOLVERS[request.solver](velocity, noise, steps);
      images.set(made.subarray(0, Math.min(b, labels.length - from) * size), from * size);
    }
    return images;
  } finally {
    program.dispose();
  }
}

/** The velocity under classifier-free guidance (Ho and Salimans 2022); both halves in one forward pass. */
function guidedVelocity(model: SiTSettings, layout: ParameterLayout, guided: boolean): ProgramFunction {
  return (state, inputs) => {
    const parameters = unpack(state['parameters'] as Tensor1D, layout);
    const { x, labels } = inputs;
    const b = x.shape[0];
    const time = (n: number) => tf.mul(tf.ones([n]), inputs['t'] as Scalar) as Tensor1D;
    if (!guided) {
      const { velocity } = sit(parameters, model, { x, t: time(b), labels: labels as Tensor1D }, 0);
      return { outputs: { velocity } };
    }
    const both = tf.concat([labels as Tensor1D, tf.fill([b], nullClass(model), 'int32') as Tensor1D]);
    const { velocity } = sit(parameters, model, { x: tf.concat([x, x]), t: time(2 * b), labels: both }, 0);
    const [labelled, unlabelled] = tf.split(velocity, 2);
    return {
      outputs: {
        velocity: tf.add(unlabelled, tf.mul(inputs['guidance'] as Scalar, tf.sub(labelled, unlabelled))),
      },
    };
  };
}
