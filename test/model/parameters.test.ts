import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import { initialParameters, parameterLayout, unpack, views } from '../../src/model/parameters.ts';
import { sitSpecs } from '../../src/model/sit.ts';

beforeAll(async () => void (await openCpuEngine()));

const layout = parameterLayout([
  { name: 'a', shape: [2, 3], init: { kind: 'xavier' } },
  { name: 'b', shape: [4], init: { kind: 'zeros' } },
  { name: 'c', shape: [], init: { kind: 'normal', std: 1 } },
]);

describe('the flat vector', () => {
  it('holds its parts one after another', () => {
    expect(layout.offsets).toEqual([0, 6, 10]);
    expect(layout.size).toBe(11);
    const flat = Float32Array.from({ length: 11 }, (_, i) => i);
    const parts = unpack(tf.tensor1d(flat), layout);
    expect(parts['a']!.arraySync()).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect(parts['b']!.arraySync()).toEqual([6, 7, 8, 9]);
    expect(parts['c']!.arraySync()).toBe(10);
    const host = views(flat, layout);
    for (const name of ['a', 'b', 'c']) {
      expect([...host[name]!.data]).toEqual([...parts[name]!.dataSync()]);
      expect(host[name]!.shape).toEqual(parts[name]!.shape);
      expect(host[name]!.data.buffer).toBe(flat.buffer);
    }
  });

  it('gathers the gradients of its parts, zero where a part is not used', () => {
    const gradient = tf.grad((flat) => {
      const { b, c } = unpack(flat as tf.Tensor1D, layout);
      return tf.add(tf.sum(tf.mul(b!, tf.tensor1d([1, 2, 3, 4]))), tf.mul(c!, 5));
    })(tf.zeros([11]));
    expect([...gradient.dataSync()]).toEqual([0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5]);
  });
});

describe('initial parameters', () => {
  const settings = {
    input: [8, 8, 4],
    patch: 2,
    width: 64,
    depth: 2,
    heads: 4,
    mlpRatio: 4,
    classes: 30,
    timeScale: 1,
    learnSigma: false,
  } as const;
  const sit = parameterLayout(sitSpecs(settings));

  it('are those of the official code: Xavier, normal of 0.02 for embeddings, zero for adaLN, final layer and biases', () => {
    const parts = views(initialParameters(sit, 3), sit);
    for (const [name, { shape, data }] of Object.entries(parts)) {
      const rms = Math.sqrt(data.reduce((sum, v) => sum + v * v, 0) / data.length);
      const top = data.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      if (name.endsWith('bias') || name.includes('adaLN') || name.startsWith('final_layer')) {
        expect(top, name).toBe(0);
      } else if (name.includes('embedder.mlp') || name.includes('embedding_table')) {
        expect(Math.abs(rms / 0.02 - 1), name).toBeLessThan(0.06);
        expect(top, name).toBeGreaterThan(0.05); // a normal has tails, a uniform of this variance ends at 0.035
      } else {
        const bound = Math.sqrt(6 / (shape[0]! + shape[1]!));
        expect(top, name).toBeLessThanOrEqual(Math.fround(bound));
        expect(top, name).toBeGreaterThan(0.99 * bound);
        expect(Math.abs((rms * Math.sqrt(3)) / bound - 1), name).toBeLessThan(0.06);
      }
    }
  });

  it('are a function of the seed and of each name alone', () => {
    expect(initialParameters(sit, 3)).toEqual(initialParameters(sit, 3));
    expect(initialParameters(sit, 3)).not.toEqual(initialParameters(sit, 4));
    const one = parameterLayout(sit.specs.filter((spec) => spec.name === 'blocks.1.attn.qkv.weight'));
    const whole = views(initialParameters(sit, 3), sit);
    expect(initialParameters(one, 3)).toEqual(whole['blocks.1.attn.qkv.weight']!.data);
    expect(whole['blocks.0.attn.qkv.weight']!.data).not.toEqual(whole['blocks.1.attn.qkv.weight']!.data);
  });
});
