import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import { logSumExp } from '../../src/losses/log-sum-exp.ts';
import { GELU } from '../../src/model/gelu.ts';
import { linear } from '../../src/model/linear.ts';
import { modulatedNorm } from '../../src/model/modulated-norm.ts';
import { silu } from '../../src/model/silu.ts';
import { normals } from '../../src/random/philox.ts';
import { plainGelu, plainLayerNorm, plainSilu, slope } from './plain-sit.ts';

beforeAll(async () => void (await openCpuEngine()));

/** Values and gradient of sum(weights * f(x)). */
function taken(f: (x: tf.Tensor) => tf.Tensor, x: tf.Tensor, weights: tf.Tensor) {
  return tf.tidy(() => ({
    value: [...f(x).dataSync()],
    gradient: [
      ...tf
        .grad((v) => tf.sum(tf.mul(f(v), weights)))(x)
        .dataSync(),
    ],
  }));
}

function close(got: readonly number[], expected: readonly number[], within: number): void {
  expect(got.length).toBe(expected.length);
  got.forEach((v, i) => void expect(Math.abs(v - expected[i]!), `[${i}]: ${v}, ${expected[i]}`).toBeLessThan(within));
}

/** Of one column, by the weight 1. */
const gelu = (x: tf.Tensor): tf.Tensor =>
  tf.reshape(linear(tf.reshape(x, [-1, 1]), tf.ones([1, 1]), tf.zeros([1]), GELU), x.shape);

/** Without a modulation: over the last axis of (rows, width). */
function layerNorm(x: tf.Tensor): tf.Tensor {
  const none = tf.zeros([1, 1, x.shape[1]!]);
  return tf.reshape(modulatedNorm(tf.expandDims(x, 0), none, none), x.shape);
}

/** Gradients that we write out: each against finite differences in float64 and against tfjs's autodiff of the formula. */
describe('layerNorm', () => {
  const [rows, width] = [5, 7];
  const x = Float64Array.from(normals(1, 'x', 0, rows * width), (v, i) => Math.fround(v * (i < 7 ? 0.01 : 3) + 0.5));
  const weights = normals(1, 'w', 0, rows * width);
  const input = () => tf.tensor(Float32Array.from(x), [rows, width]);
  const got = () => taken(layerNorm, input(), tf.tensor(weights, [rows, width]));

  it('has the value of the formula, mean 0 and variance 1', () => {
    const plain = Array.from({ length: rows }, (_, r) =>
      plainLayerNorm([...x.slice(r * width, (r + 1) * width)]),
    ).flat();
    close(got().value, plain, 1e-5);
    const first = got().value.slice(7, 14);
    expect(first.reduce((a, b) => a + b)).toBeCloseTo(0, 5);
    expect(first.reduce((a, b) => a + b * b, 0) / 7).toBeCloseTo(1, 5);
  });

  it('has the gradient of finite differences', () => {
    const f = (at: Float64Array) => {
      const values = Array.from({ length: rows }, (_, r) => plainLayerNorm([...at.slice(r * width, (r + 1) * width)]));
      return values.flat().reduce((sum, v, i) => sum + v * weights[i]!, 0);
    };
    const { gradient } = got();
    for (let i = 0; i < x.length; i++) {
      const expected = slope(f, x, i, 1e-6);
      expect(Math.abs(gradient[i]! - expected) / Math.max(1, Math.abs(expected))).toBeLessThan(1e-4);
    }
  });

  it('has the gradient that autodiff gives the formula', () => {
    const formula = (v: tf.Tensor) => {
      const { mean, variance } = tf.moments(v, -1, true);
      return tf.div(tf.sub(v, mean), tf.sqrt(tf.add(variance, 1e-6)));
    };
    const { gradient } = taken(formula, tf.mul(input(), 1), tf.tensor(weights, [rows, width]));
    const scale = Math.max(...gradient.map(Math.abs));
    close(
      got().gradient.map((g) => g / scale),
      gradient.map((g) => g / scale),
      1e-5,
    );
  });

  it('of a constant row is 0, with a finite gradient', () => {
    const { value, gradient } = taken(layerNorm, tf.fill([1, 4], 3), tf.tensor([1, 2, 3, 4], [1, 4]));
    expect(value).toEqual([0, 0, 0, 0]);
    close(gradient, [-1500, -500, 500, 1500], 1); // (dy - mean dy) / sqrt(1e-6)
  });
});

describe.each([
  { name: 'gelu', op: gelu, plain: plainGelu },
  { name: 'silu', op: silu, plain: plainSilu },
])('$name', ({ op, plain }) => {
  const x = [-30, -6, -2.5, -1, -0.75179, -0.1, 0, 1e-4, 0.3, 1, 2, 4, 30];
  const got = () => taken(op, tf.tensor1d(x), tf.onesLike(tf.tensor1d(x)));

  it('has the value of the formula', () => close(got().value, x.map(plain), 2e-6));

  it('has the gradient of finite differences', () => {
    close(
      got().gradient,
      x.map((v) => slope((at) => plain(at[0]!), Float64Array.of(v), 0)),
      2e-6,
    );
  });
});

it('gelu has the gradient that autodiff gives its formula', () => {
  const x = tf.tensor1d(normals(2, 'x', 0, 40).map((v) => 3 * v));
  const weights = tf.tensor1d(normals(2, 'w', 0, 40));
  const formula = (v: tf.Tensor) => {
    const u = tf.mul(Math.sqrt(2 / Math.PI), tf.add(v, tf.mul(0.044715, tf.pow(v, tf.scalar(3)))));
    return tf.mul(tf.mul(v, 0.5), tf.add(1, tf.tanh(u)));
  };
  close(taken(gelu, x, weights).gradient, taken(formula, x, weights).gradient, 1e-5);
});

describe('logSumExp', () => {
  const x = [3, -1, 0.5, 3, -1e38, 2, -40, -41, -42, -43, -44, -40];
  const tensor = () => tf.tensor2d(x, [2, 6]);

  it('has the value of tfjs over all and over rows, also where the maximum is there twice', () => {
    expect(logSumExp(tensor(), 'all').arraySync()).toBeCloseTo(tf.logSumExp(tensor()).arraySync() as number, 6);
    expect(logSumExp(tensor(), 'rows').shape).toEqual([2]);
    close([...logSumExp(tensor(), 'rows').dataSync()], [...tf.logSumExp(tensor(), 1).dataSync()], 1e-5);
  });

  it('has the softmax for a gradient', () => {
    const scaled = taken((v) => logSumExp(v, 'all'), tensor(), tf.scalar(2)).gradient;
    const total = x.reduce((sum, v) => sum + Math.exp(v), 0);
    close(
      scaled,
      x.map((v) => (2 * Math.exp(v)) / total),
      1e-6,
    );
    const rows = taken((v) => logSumExp(v, 'rows'), tensor(), tf.tensor1d([1, 10])).gradient;
    close(rows.slice(6), [...tf.mul(tf.softmax(tf.tensor1d(x.slice(6))), 10).dataSync()], 1e-5);
    expect(rows[4]).toBe(0); // the masked pair
  });
});
