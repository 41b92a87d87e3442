import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { fused } from '../../src/engine/fused.ts';
import { difference, gaussian, OPEN, runOnce } from './engines.ts';

// Large enough for the native engine to compile it.
const x = gaussian('x', [600, 64]);
const row = gaussian('row', [64]);

const softened = (a: tf.Tensor, b: tf.Tensor): tf.Tensor[] => {
  const e = tf.exp(tf.sub(tf.mul(a, b), tf.max(a, -1, true)));
  return [tf.div(e, tf.sum(e, -1, true)), tf.sum(e, 0), a];
};

describe.each(Object.keys(OPEN) as (keyof typeof OPEN)[])('a fused function on %s', (name) => {
  const results = async (call: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor[]) => {
    const engine = await OPEN[name]();
    return runOnce(engine, { x, row }, (inputs) =>
      Object.fromEntries(call(inputs['x']!, inputs['row']!).map((tensor, i) => [i, tensor])),
    );
  };

  it('has the results of the function, an input among them', async () => {
    const [got, expected] = [await results((a, b) => fused('soft', [a, b], softened)), await results(softened)];
    for (const i of ['0', '1', '2']) expect(difference(got[i]!, expected[i]!)).toBeLessThan(1e-6);
  });

  it('is called with other shapes and more than once', async () => {
    const got = await results((a, b) => {
      const twice = (t: tf.Tensor) => fused('twice', [t], (v) => [tf.mul(v, 2)])[0]!;
      return [twice(a), twice(twice(a)), twice(b)];
    });
    const expected = await results((a, b) => [tf.mul(a, 2), tf.mul(a, 4), tf.mul(b, 2)]);
    for (const i of ['0', '1', '2']) expect(difference(got[i]!, expected[i]!)).toBe(0);
  });
});

it('a fused function may use no tensor but its inputs and constants, and the error says which', async () => {
  const engine = await OPEN.native();
  const wrong = runOnce(engine, { x, row }, ({ x: a, row: b }) => {
    const other = tf.neg(b!);
    return { y: fused('wrong', [a!], (v) => [tf.mul(v, other)])[0]! };
  });
  await expect(wrong).rejects.toThrow(/the result of Neg, made by .* was used in another program/);
});
