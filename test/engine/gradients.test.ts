import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine, HostTensor, HostTensors } from '../../src/engine/engine.ts';
import { difference, type Fn, gaussian, int, OPEN, runOnce } from './engines.ts';
import { transformerInputs, transformerProgram } from './transformer-program.ts';

/** Functions to a scalar, whose gradients by every float input are compared. */
const x = gaussian('x', [4, 6, 8]);
const w = gaussian('w', [8, 8]);
const indices = int([5], [3, 0, 2, 2, 1]);
const weigh = (t: tf.Tensor): tf.Tensor => tf.sum(tf.mul(t, tf.sin(tf.reshape(tf.range(0, t.size), t.shape))));

const CASES: Record<string, [Record<string, HostTensor>, Fn]> = {
  'matMul in batches, transposed': [
    { x, y: gaussian('y', [4, 5, 8]) },
    (i) => weigh(tf.matMul(i.x!, i.y!, false, true)),
  ],
  'a linear layer': [{ x, w }, (i) => weigh(tf.matMul(tf.reshape(i.x!, [24, 8]), i.w!))],
  'broadcast add and mul': [{ x, row: gaussian('row', [8]) }, (i) => weigh(tf.mul(tf.add(i.x!, i.row!), i.row!))],
  softmax: [{ x }, (i) => weigh(tf.softmax(i.x!))],
  logSumExp: [{ x }, (i) => weigh(tf.logSumExp(i.x!, -1))],
  'layer norm': [
    { x },
    (i) => {
      const { mean, variance } = tf.moments(i.x!, -1, true);
      return weigh(tf.mul(tf.sub(i.x!, mean), tf.rsqrt(tf.add(variance, 1e-6))));
    },
  ],
  'tanh, sigmoid, square, sqrt': [
    { x },
    (i) => weigh(tf.sqrt(tf.add(tf.square(tf.mul(tf.tanh(i.x!), tf.sigmoid(i.x!))), 1))),
  ],
  'split, concat, slice, pad': [
    { x },
    (i) =>
      weigh(
        tf.pad(tf.slice(tf.concat(tf.split(i.x!, 4, -1).reverse(), -1), [0, 1, 0], [4, 3, 7]), [
          [0, 0],
          [1, 1],
          [0, 1],
        ]),
      ),
  ],
  'gather (an embedding)': [{ w, indices }, (i) => weigh(tf.gather(i.w!, i.indices!))],
  'transpose, reshape, stack': [{ x }, (i) => weigh(tf.stack(tf.unstack(tf.transpose(i.x!, [1, 0, 2]))))],
  'where, maximum, clip': [
    {
      x,
      indices: int(
        [4, 6, 8],
        x.data.map((v, k) => (v > 0 === k % 3 > 0 ? 1 : 0)),
      ),
    },
    (i) => weigh(tf.where(tf.cast(i.indices!, 'bool'), tf.clipByValue(i.x!, -1, 1), tf.maximum(tf.mul(i.x!, 2), -0.7))),
  ],
  'norm, div, exp, log': [{ x }, (i) => weigh(tf.log(tf.exp(tf.div(i.x!, tf.norm(i.x!, 2, -1, true)))))],
  'customGrad, saving a tensor': [
    { x },
    (i) => {
      const scaled = tf.customGrad((t, save) => {
        const value = tf.square(t as tf.Tensor);
        (save as tf.GradSaveFunc)([t as tf.Tensor]);
        return { value, gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(tf.mul(dy, saved[0]!), 3) };
      });
      return weigh(scaled(i.x!));
    },
  ],
};

/** Their kernels are not in tfjs's WebAssembly backend. */
const NOT_IN_WASM = new Set(['gather (an embedding)']);

describe.each(['native', 'wasm'] as const)('gradients on the %s engine', (name) => {
  let engine: Engine;
  let reference: Engine;
  beforeAll(async () => {
    reference = await OPEN.cpu();
    engine = await OPEN[name]();
  });

  const gradients = (on: Engine, inputs: Record<string, HostTensor>, fn: Fn): Promise<HostTensors> =>
    runOnce(on, inputs, (fed) => {
      const names = Object.keys(inputs).filter((key) => inputs[key]!.dtype === 'float32');
      const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) =>
        fn({ ...fed, ...Object.fromEntries(names.map((key, i) => [key, values[i]!])) }).asScalar(),
      )(names.map((key) => fed[key]!));
      return { value, ...Object.fromEntries(names.map((key, i) => [key, grads[i]!])) };
    });

  it.each(Object.entries(CASES).filter(([label]) => name === 'native' || !NOT_IN_WASM.has(label)))(
    'of %s are those of plain JavaScript',
    async (_, [inputs, fn]) => {
      const expected = await gradients(reference, inputs, fn);
      const actual = await gradients(engine, inputs, fn);
      for (const [key, value] of Object.entries(expected)) {
        expect(value.data.some((v) => v !== 0)).toBe(true);
        expect(difference(actual[key]!, value), key).toBeLessThan(name === 'native' ? 2e-5 : 2e-3);
      }
    },
  );

  it('train a transformer, step after step, to the same losses and weights', async () => {
    const size = { batch: 4, tokens: 9, width: 16, depth: 2, heads: 2 };
    const losses: number[][] = [];
    const states: HostTensors[] = [];
    for (const on of [engine, reference]) {
      const program = await on.compile(transformerProgram(size, 32));
      const seen: number[] = [];
      for (let step = 0; step < 4; step++)
        seen.push((await program.run(transformerInputs(size, step), step)).loss!.data[0]!);
      losses.push(seen);
      states.push(await program.readState());
      program.dispose();
    }
    const [actual, expected] = losses as [number[], number[]];
    const tolerance = name === 'native' ? 1e-4 : 1e-2;
    expect(new Set(expected).size).toBe(4);
    for (const [i, loss] of expected.entries()) expect(Math.abs(actual[i]! - loss)).toBeLessThan(tolerance);
    // Weights only: AdamW's first steps divide by gradients that are nearly zero, and queue rows are normalised.
    for (const [key, value] of Object.entries(states[1]!)) {
      if (key.startsWith('p.') || key.startsWith('e.'))
        expect(difference(states[0]![key]!, value), key).toBeLessThan(10 * tolerance);
    }
    expect(states[0]!['queueAt']).toEqual(states[1]!['queueAt']);
  });
});
