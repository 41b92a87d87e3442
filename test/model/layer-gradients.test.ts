import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import { selfAttention } from '../../src/model/attention.ts';
import { gated } from '../../src/model/gated.ts';
import { GELU } from '../../src/model/gelu.ts';
import { linear } from '../../src/model/linear.ts';
import { modulatedNorm } from '../../src/model/modulated-norm.ts';
import { normals } from '../../src/random/philox.ts';

beforeAll(async () => void (await openCpuEngine()));

type Layer = (...inputs: tf.Tensor[]) => tf.Tensor;

const [B, N, D, HEADS] = [2, 3, 8, 2];

/** Layers whose gradients we write out, beside the same formula left to tfjs's autodiff. */
const LAYERS: Record<string, { ours: Layer; plain: Layer; shapes: number[][] }> = {
  linear: {
    ours: (x, w, b) => linear(x!, w!, b!),
    plain: (x, w, b) => {
      const rows = tf.reshape(x!, [-1, D]) as tf.Tensor2D;
      return tf.reshape(tf.add(tf.matMul(rows, tf.transpose(w!)), b!), [B, N, 5]);
    },
    shapes: [[B, N, D], [5, D], [5]],
  },
  'linear of GELU': {
    ours: (x, w, b) => linear(x!, w!, b!, GELU),
    plain: (x, w, b) => {
      const u = tf.mul(Math.sqrt(2 / Math.PI), tf.add(x!, tf.mul(0.044715, tf.mul(x!, tf.square(x!)))));
      const rows = tf.reshape(tf.mul(tf.mul(x!, 0.5), tf.add(1, tf.tanh(u))), [-1, D]) as tf.Tensor2D;
      return tf.reshape(tf.add(tf.matMul(rows, tf.transpose(w!)), b!), [B, N, 5]);
    },
    shapes: [[B, N, D], [5, D], [5]],
  },
  modulatedNorm: {
    ours: (x, shift, scale) => modulatedNorm(x!, shift!, scale!),
    plain: (x, shift, scale) => {
      const { mean, variance } = tf.moments(x!, -1, true);
      const normal = tf.div(tf.sub(x!, mean), tf.sqrt(tf.add(variance, 1e-6)));
      return tf.add(tf.mul(normal, tf.add(1, scale!)), shift!);
    },
    shapes: [
      [B, N, D],
      [B, 1, D],
      [B, 1, D],
    ],
  },
  gated: {
    ours: (x, gate, h) => gated(x!, gate!, h!),
    plain: (x, gate, h) => tf.add(x!, tf.mul(gate!, h!)),
    shapes: [
      [B, N, D],
      [B, 1, D],
      [B, N, D],
    ],
  },
  selfAttention: {
    ours: (qkv) => selfAttention(qkv!, HEADS),
    plain: (qkv) => {
      const dh = D / HEADS;
      const parts = tf.transpose(tf.reshape(qkv!, [B, N, 3, HEADS, dh]), [2, 0, 3, 1, 4]);
      const [q, k, v] = tf.unstack(parts) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
      const weights = tf.softmax(tf.div(tf.matMul(q, k, false, true), Math.sqrt(dh)));
      return tf.reshape(tf.transpose(tf.matMul(weights, v), [0, 2, 1, 3]), [B, N, D]);
    },
    shapes: [[B, N, 3 * D]],
  },
};

const size = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]!) / Math.max(1, Math.abs(b[i]!))));

describe.each(Object.entries(LAYERS))('%s', (_, { ours, plain, shapes }) => {
  const values = shapes.map((shape, i) => normals(3, `input ${i}`, 0, size(shape)));
  const inputs = () => values.map((value, i) => tf.tensor(value, shapes[i]));
  const weights = (of: tf.Tensor) => tf.tensor(normals(3, 'weights', 0, of.size), of.shape);
  const weighed =
    (layer: Layer) =>
    (...given: tf.Tensor[]) => {
      const y = layer(...given);
      return tf.sum(tf.mul(y, weights(y))) as tf.Scalar;
    };
  const gradients = (layer: Layer) =>
    tf
      .grads(weighed(layer))(inputs())
      .map((g) => g.dataSync());

  it('has the value of the formula', () => {
    const [got, expected] = [ours(...inputs()), plain(...inputs())];
    expect(got.shape).toEqual(expected.shape);
    expect(apart(got.dataSync(), expected.dataSync())).toBeLessThan(1e-5);
  });

  it('has the gradients that autodiff gives the formula', () => {
    const expected = gradients(plain);
    for (const [i, got] of gradients(ours).entries()) expect(apart(got, expected[i]!), `input ${i}`).toBeLessThan(1e-5);
  });

  it('has the gradients of finite differences', () => {
    const h = 1e-2;
    for (const [i, got] of gradients(ours).entries()) {
      // Some elements of each input: differences in float32 are good to three digits.
      for (let at = 0; at < got.length; at += Math.ceil(got.length / 6)) {
        const moved = (by: number) => {
          const given = values.map((value) => value.slice());
          given[i]![at]! += by;
          return weighed(plain)(...given.map((value, k) => tf.tensor(value, shapes[k]))).dataSync()[0]!;
        };
        const slope = (moved(h) - moved(-h)) / (2 * h);
        expect(Math.abs(got[at]! - slope) / Math.max(1, Math.abs(slope)), `input ${i}, [${at}]`).toBeLessThan(5e-3);
      }
    }
  });

  it('leaves no tensor behind', () => {
    const given = inputs();
    const before = tf.memory().numTensors;
    tf.tidy(() => void tf.grads(weighed(ours))(given));
    expect(tf.memory().numTensors).toBe(before);
  });
});
