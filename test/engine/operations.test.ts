import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine, HostTensor } from '../../src/engine/engine.ts';
import { difference, type Fn, float, gaussian, int, OPEN, runOnce } from './engines.ts';

/** Every operation that the models, losses and optimizers use, and its neighbours: the plain-JS backend is the reference. */
const x = gaussian('x', [4, 6, 8]);
const y = gaussian('y', [4, 6, 8]);
const row = gaussian('row', [8]);
const positive = float(
  [4, 6, 8],
  x.data.map((v) => Math.abs(v) + 0.1),
);
const indices = int([5], [3, 0, 2, 2, 1]);
const flags = int(
  [4, 6, 8],
  x.data.map((v) => (v > 0 ? 1 : 0)),
);

const CASES: Record<string, [Record<string, HostTensor>, Fn]> = {
  'add, with broadcasting': [{ x, row }, (i) => tf.add(i.x!, i.row!)],
  sub: [{ x, y }, (i) => tf.sub(i.x!, i.y!)],
  'mul by a number': [{ x }, (i) => tf.mul(i.x!, 0.3)],
  'mul of integers': [{ indices }, (i) => tf.mul(i.indices!, tf.scalar(3, 'int32'))],
  div: [{ x, positive }, (i) => tf.div(i.x!, i.positive!)],
  divNoNan: [{ x }, (i) => tf.divNoNan(i.x!, tf.relu(i.x!))],
  floorDiv: [{ indices }, (i) => tf.floorDiv(i.indices!, tf.scalar(2, 'int32'))],
  mod: [{ indices }, (i) => tf.mod(i.indices!, tf.scalar(3, 'int32'))],
  pow: [{ positive }, (i) => tf.pow(i.positive!, 1.7)],
  maximum: [{ x, y }, (i) => tf.maximum(i.x!, i.y!)],
  minimum: [{ x, y }, (i) => tf.minimum(i.x!, i.y!)],
  squaredDifference: [{ x, y }, (i) => tf.squaredDifference(i.x!, i.y!)],
  neg: [{ x }, (i) => tf.neg(i.x!)],
  abs: [{ x }, (i) => tf.abs(i.x!)],
  sign: [{ x }, (i) => tf.sign(i.x!)],
  square: [{ x }, (i) => tf.square(i.x!)],
  sqrt: [{ positive }, (i) => tf.sqrt(i.positive!)],
  rsqrt: [{ positive }, (i) => tf.rsqrt(i.positive!)],
  reciprocal: [{ positive }, (i) => tf.reciprocal(i.positive!)],
  exp: [{ x }, (i) => tf.exp(i.x!)],
  expm1: [{ x }, (i) => tf.expm1(i.x!)],
  log: [{ positive }, (i) => tf.log(i.positive!)],
  log1p: [{ positive }, (i) => tf.log1p(i.positive!)],
  sin: [{ x }, (i) => tf.sin(i.x!)],
  cos: [{ x }, (i) => tf.cos(i.x!)],
  tanh: [{ x }, (i) => tf.tanh(i.x!)],
  sigmoid: [{ x }, (i) => tf.sigmoid(i.x!)],
  softplus: [{ x }, (i) => tf.softplus(i.x!)],
  erf: [{ x }, (i) => tf.erf(i.x!)],
  relu: [{ x }, (i) => tf.relu(i.x!)],
  elu: [{ x }, (i) => tf.elu(i.x!)],
  clipByValue: [{ x }, (i) => tf.clipByValue(i.x!, -0.5, 0.5)],
  floor: [{ x }, (i) => tf.floor(i.x!)],
  ceil: [{ x }, (i) => tf.ceil(i.x!)],
  round: [{ x }, (i) => tf.round(i.x!)],
  step: [{ x }, (i) => tf.step(i.x!)],
  isFinite: [{ x }, (i) => tf.isFinite(tf.div(i.x!, tf.relu(i.x!)))],
  'matMul of matrices': [{ a: gaussian('a', [5, 8]), b: gaussian('b', [8, 3]) }, (i) => tf.matMul(i.a!, i.b!)],
  'matMul, first transposed': [
    { a: gaussian('a', [8, 5]), b: gaussian('b', [8, 3]) },
    (i) => tf.matMul(i.a!, i.b!, true),
  ],
  'matMul, second transposed': [
    { a: gaussian('a', [5, 8]), b: gaussian('b', [3, 8]) },
    (i) => tf.matMul(i.a!, i.b!, false, true),
  ],
  'matMul, both transposed': [
    { a: gaussian('a', [8, 5]), b: gaussian('b', [3, 8]) },
    (i) => tf.matMul(i.a!, i.b!, true, true),
  ],
  'matMul in batches': [
    { a: gaussian('a', [2, 3, 5, 8]), b: gaussian('b', [2, 3, 7, 8]) },
    (i) => tf.matMul(i.a!, i.b!, false, true),
  ],
  dot: [{ a: gaussian('a', [9]), b: gaussian('b', [9]) }, (i) => tf.dot(i.a!, i.b!)],
  'sum over all': [{ x }, (i) => tf.sum(i.x!)],
  'sum over the last axis': [{ x }, (i) => tf.sum(i.x!, -1, true)],
  'sum over two axes': [{ x }, (i) => tf.sum(i.x!, [0, 1])],
  'sum of integers': [{ flags }, (i) => tf.sum(i.flags!, 0)],
  mean: [{ x }, (i) => tf.mean(i.x!, 1)],
  max: [{ x }, (i) => tf.max(i.x!, -1)],
  min: [{ x }, (i) => tf.min(i.x!, 1)],
  argMax: [{ x }, (i) => tf.argMax(i.x!, -1)],
  prod: [{ x }, (i) => tf.prod(i.x!, -1)],
  // Not -1: tfjs's JavaScript kernel gives zeros for it, and its WebAssembly kernel writes outside of its memory.
  cumsum: [{ x }, (i) => tf.cumsum(i.x!, 2)],
  all: [{ flags }, (i) => tf.all(tf.cast(tf.slice(i.flags!, [0, 0, 0], [4, 6, 2]), 'bool'), -1)],
  any: [{ flags }, (i) => tf.any(tf.cast(i.flags!, 'bool'), -1)],
  norm: [{ x }, (i) => tf.norm(i.x!, 2, -1, true)],
  'layer norm by moments': [
    { x },
    (i) => {
      const { mean, variance } = tf.moments(i.x!, -1, true);
      return tf.mul(tf.sub(i.x!, mean), tf.rsqrt(tf.add(variance, 1e-6)));
    },
  ],
  softmax: [{ x }, (i) => tf.softmax(i.x!)],
  logSoftmax: [{ x }, (i) => tf.logSoftmax(i.x!)],
  logSumExp: [{ x }, (i) => tf.logSumExp(i.x!, -1)],
  addN: [{ x, y }, (i) => tf.addN([i.x!, i.y!, i.x!])],
  concat: [{ x, y }, (i) => tf.concat([i.x!, i.y!, i.x!], 1)],
  'concat of one': [{ x }, (i) => tf.concat([i.x!], 0)],
  stack: [{ x, y }, (i) => tf.stack([i.x!, i.y!], 1)],
  'unstack, second of it': [{ x }, (i) => tf.unstack(i.x!, 1)[1]!],
  'split in equal parts': [{ x }, (i) => tf.concat(tf.split(i.x!, 4, -1).reverse(), -1)],
  'split by sizes': [{ x }, (i) => tf.concat(tf.split(i.x!, [1, 5, 2], -1).reverse(), -1)],
  slice: [{ x }, (i) => tf.slice(i.x!, [1, 0, 2], [2, 6, 3])],
  stridedSlice: [{ x }, (i) => tf.stridedSlice(i.x!, [0, 5, 0], [4, 0, 8], [2, -1, 3])],
  pad: [
    { x },
    (i) =>
      tf.pad(
        i.x!,
        [
          [0, 1],
          [2, 0],
          [1, 1],
        ],
        0.5,
      ),
  ],
  reverse: [{ x }, (i) => tf.reverse(i.x!, [0, 2])],
  tile: [{ x }, (i) => tf.tile(i.x!, [1, 2, 1])],
  reshape: [{ x }, (i) => tf.reshape(i.x!, [8, -1])],
  transpose: [{ x }, (i) => tf.transpose(i.x!, [2, 0, 1])],
  expandDims: [{ x }, (i) => tf.expandDims(i.x!, 1)],
  squeeze: [{ x }, (i) => tf.squeeze(tf.slice(i.x!, [0, 0, 0], [1, 6, 8]))],
  broadcastTo: [{ row }, (i) => tf.broadcastTo(tf.reshape(i.row!, [1, 8]), [3, 8])],
  gather: [{ x, indices }, (i) => tf.gather(i.x!, i.indices!)],
  'gather along an axis': [{ x, indices }, (i) => tf.gather(i.x!, i.indices!, 2)],
  gatherND: [{ x, at: int([3, 2], [0, 1, 3, 5, 2, 2]) }, (i) => tf.gatherND(i.x!, i.at!)],
  oneHot: [{ indices }, (i) => tf.oneHot(i.indices!, 6)],
  tensorScatterUpdate: [
    { x, rows: int([2, 1], [3, 1]), values: gaussian('values', [2, 6, 8]) },
    (i) => tf.tensorScatterUpdate(i.x!, i.rows!, i.values!),
  ],
  scatterND: [
    { at: int([3, 1], [4, 1, 4]), values: gaussian('values', [3, 2]) },
    (i) => tf.scatterND(i.at!, i.values!, [6, 2]),
  ],
  unsortedSegmentSum: [
    { values: gaussian('values', [5, 3]), indices },
    (i) => tf.unsortedSegmentSum(i.values!, i.indices! as tf.Tensor1D, 4),
  ],
  where: [{ flags, x, y }, (i) => tf.where(tf.cast(i.flags!, 'bool'), i.x!, i.y!)],
  greater: [{ x, y }, (i) => tf.greater(i.x!, i.y!)],
  lessEqual: [{ x, y }, (i) => tf.lessEqual(i.x!, i.y!)],
  equal: [{ indices }, (i) => tf.equal(i.indices!, tf.scalar(2, 'int32'))],
  'logicalAnd, logicalNot': [
    { flags },
    (i) => tf.logicalAnd(tf.cast(i.flags!, 'bool'), tf.logicalNot(tf.cast(tf.reverse(i.flags!, 0), 'bool'))),
  ],
  'cast to int32': [{ x }, (i) => tf.cast(tf.mul(i.x!, 10), 'int32')],
  'cast to float32': [{ indices }, (i) => tf.cast(i.indices!, 'float32')],
  'range, fill, zeros, ones, eye, linspace': [
    {},
    () =>
      tf.addN([
        tf.range(0, 4),
        tf.fill([4], 2.5),
        tf.zeros([4]),
        tf.ones([4]),
        tf.sum(tf.eye(4), 0),
        tf.linspace(0, 1, 4),
      ]),
  ],
  conv2d: [
    { image: gaussian('image', [2, 9, 9, 3]), filter: gaussian('filter', [3, 3, 3, 4]) },
    (i) => tf.conv2d(i.image as tf.Tensor4D, i.filter as tf.Tensor4D, 2, 'same'),
  ],
  'maxPool, avgPool': [
    { image: gaussian('image', [2, 8, 8, 3]) },
    (i) => tf.add(tf.maxPool(i.image as tf.Tensor4D, 2, 2, 'valid'), tf.avgPool(i.image as tf.Tensor4D, 2, 2, 'valid')),
  ],
  resizeBilinear: [
    { image: gaussian('image', [2, 5, 5, 3]) },
    (i) => tf.image.resizeBilinear(i.image as tf.Tensor4D, [10, 7]),
  ],
  topk: [{ x }, (i) => tf.topk(i.x!, 3).values],
  einsum: [{ a: gaussian('a', [3, 4]), b: gaussian('b', [4, 5]) }, (i) => tf.einsum('ij,jk->ik', i.a!, i.b!)],
};

/** Not in tfjs's WebAssembly backend: the wasm engine refuses them by name. */
const NOT_IN_WASM = new Set(['unsortedSegmentSum', 'einsum']);

describe.each(['native', 'wasm'] as const)('on the %s engine', (name) => {
  let engine: Engine;
  let reference: Engine;

  beforeAll(async () => {
    reference = await OPEN.cpu();
    engine = await OPEN[name]();
  });

  it.each(Object.entries(CASES))('%s gives what plain JavaScript gives', async (label, [inputs, fn]) => {
    const outputs = runOnce(engine, inputs, (fed) => ({ result: fn(fed) }));
    if (name === 'wasm' && NOT_IN_WASM.has(label)) {
      await expect(outputs).rejects.toMatchObject({
        code: 'ENGINE_FAILED',
        message: expect.stringMatching(/Kernel|not.*wasm/i),
      });
      return;
    }
    const expected = await runOnce(reference, inputs, (fed) => ({ result: fn(fed) }));
    expect(expected.result!.data.some((value) => value !== 0)).toBe(true);
    expect(difference((await outputs).result!, expected.result!)).toBeLessThan(name === 'native' ? 1e-5 : 1e-3);
  });
});
