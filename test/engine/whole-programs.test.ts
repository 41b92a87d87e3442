import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { givenBatch } from '../../bench/train-step/given-values.ts';
import { shapePipeline } from '../../bench/train-step/shapes.ts';
import type { Engine, HostTensors, ProgramFunction } from '../../src/engine/engine.ts';
import { materialize } from '../../src/engine/materialize.ts';
import { canSelectRows, selectRows } from '../../src/engine/native/selected-rows.ts';
import { valueAndGradients } from '../../src/trainer/gradient.ts';
import { compileStep, runStep } from '../../src/trainer/run-step.ts';
import { initialState } from '../../src/trainer/train-state.ts';
import { bytesOf, difference, float, gaussian, int, OPEN, openWhole, runOnce } from './engines.ts';

/** Programs compiled as one function, as they are on a GPU: here on the CPU, by the same compiler. */

let whole: Engine;
let opByOp: Engine;
beforeAll(async () => {
  whole = await openWhole();
  opByOp = await OPEN.native();
});

async function trained(engine: Engine, precision: string): Promise<{ reports: HostTensors; state: HostTensors }> {
  const pipeline = await shapePipeline('c', [`precision=${precision}`]);
  const program = await compileStep(engine, pipeline, initialState(pipeline));
  const reports: HostTensors = {};
  for (let step = 1; step <= 3; step++)
    reports[step] = (await runStep(program, pipeline, givenBatch(pipeline, step), step)).outputs['report']!;
  const state = await program.readState();
  program.dispose();
  return { reports, state };
}

describe("the digits' train step, as a whole,", () => {
  it.each(['fp32', 'bf16'])('is the one that is computed op by op, in %s', async (precision) => {
    const [one, other] = [await trained(whole, precision), await trained(opByOp, precision)];
    const within = precision === 'fp32' ? 1e-5 : 2e-3;
    for (const [step, report] of Object.entries(one.reports))
      expect(difference(report, other.reports[step]!), `step ${step}`).toBeLessThan(within);
    // AdamW divides by the root of the gradient's own square: where that is next to nothing its rounding shows.
    for (const [name, tensor] of Object.entries(one.state))
      expect(difference(tensor, other.state[name]!), name).toBeLessThan(tensor.dtype === 'int32' ? 1e-9 : 2e-2);
  });

  it('has the same bits when it is compiled again', async () => {
    const [one, other] = [await trained(whole, 'fp32'), await trained(whole, 'fp32')];
    expect(bytesOf(one.state).equals(bytesOf(other.state))).toBe(true);
  });
});

describe('a program with an op that the compiler lacks', () => {
  const image = gaussian('image', [1, 8, 8, 1]);
  const widened = (of: tf.Tensor): tf.Tensor => tf.dilation2d(of as tf.Tensor4D, tf.ones([2, 2, 1]), 1, 'same');
  /** Counts its runs, too. */
  const fn: ProgramFunction = ({ runs }, { image: of }) => ({
    state: { runs: tf.add(runs!, tf.scalar(1)) },
    outputs: { y: widened(of!) },
  });

  it('is run op by op, with its state, and none of it twice', async () => {
    const inputs = { image: { shape: image.shape, dtype: 'float32' as const } };
    const program = await whole.compile({ name: 'widened', seed: 0, state: { runs: float([], [0]) }, inputs, fn });
    const { y: expected } = await runOnce(await OPEN.cpu(), { image }, (i) => ({ y: widened(i['image']!) }));
    const feed = { image: image.data };
    for (let step = 0; step < 3; step++) expect((await program.run(feed, step))['y']).toEqual(expected);
    expect([...(await program.readState())['runs']!.data]).toEqual([3]);
    expect((await program.profile!(feed, 3)).map(({ type }) => type)).toContain('Dilation2D');
    program.dispose();
  });
});

it('a snapshot of a program that fell back to ops stays what it was while rows of its state are overwritten', async () => {
  const image = gaussian('image', [1, 2, 2, 1]);
  const fn: ProgramFunction = ({ table }, { image: of }, random) => {
    const rows = tf.reshape(random.normal('rows', [2]), [1, 2]);
    return {
      state: { table: tf.tensorScatterUpdate(table!, tf.tensor2d([[1]], [1, 1], 'int32'), rows) },
      outputs: { y: tf.dilation2d(of as tf.Tensor4D, tf.ones([1, 1, 1]), 1, 'same') },
    };
  };
  const inputs = { image: { shape: image.shape, dtype: 'float32' as const } };
  const program = await whole.compile({
    name: 'rows',
    seed: 0,
    state: { table: gaussian('table', [4, 2]) },
    inputs,
    fn,
  });
  await program.run({ image: image.data }, 0);
  const { tensors, release } = await program.snapshot(['table']);
  const before = bytesOf(tensors);
  await program.run({ image: image.data }, 1);
  expect(bytesOf(tensors).equals(before)).toBe(true);
  expect(bytesOf(await program.readState()).equals(before)).toBe(false);
  release();
  program.dispose();
});

it('each shape of open sizes is compiled by itself, and only one that the compiler lacks an op for is run op by op', async () => {
  const fn: ProgramFunction = ({ runs }, { x }) => {
    const lacking = x!.shape[0] === 3;
    const y = tf.mul(x!, tf.add(runs!, tf.scalar(1)));
    const image = tf.reshape(y, [1, -1, 1, 1]) as tf.Tensor4D;
    const same = lacking ? tf.reshape(tf.dilation2d(image, tf.zeros([1, 1, 1]), 1, 'same'), y.shape) : y;
    return { state: { runs: tf.add(runs!, tf.scalar(1)) }, outputs: { y: same } };
  };
  const inputs = {
    x: { shape: ['n'] as const, dtype: 'float32' as const, ofBytes: (bytes: tf.Tensor) => tf.cast(bytes, 'float32') },
  };
  const program = await whole.compile({ name: 'open', seed: 0, state: { runs: float([], [0]) }, inputs, fn });
  const seen: number[][] = [];
  for (const [step, data] of [[2], [1, 2, 3], [1, 1], [4, 5, 6], [3]].entries()) {
    const x = step % 2 === 0 ? Float32Array.from(data) : Uint8Array.from(data);
    seen.push([...(await program.run({ x }, step))['y']!.data]);
  }
  expect(seen).toEqual([[2], [2, 4, 6], [3, 3], [16, 20, 24], [15]]);
  const types = async (n: number) => (await program.profile!({ x: new Float32Array(n) }, 9)).map(({ type }) => type);
  expect((await types(3)).includes('Dilation2D')).toBe(true);
  for (const n of [1, 2, 4]) expect((await types(n)).some((type) => /PartitionedCall/.test(type))).toBe(true);
  program.dispose();
});

it('a program as a whole is one op to TensorFlow', async () => {
  const x = gaussian('x', [8, 8]);
  const fn: ProgramFunction = (_, { x: input }) => ({
    outputs: { y: tf.relu(tf.matMul(input as tf.Tensor2D, input as tf.Tensor2D)) },
  });
  const program = await whole.compile({
    name: 'one',
    seed: 0,
    state: {},
    inputs: { x: { shape: [8, 8], dtype: 'float32' } },
    fn,
  });
  await program.run({ x: x.data }, 0);
  const types = (await program.profile!({ x: x.data }, 1)).map(({ type }) => type);
  expect(types.filter((type) => /PartitionedCall/.test(type))).toHaveLength(1);
  expect(types.some((type) => /MatMul|Relu/.test(type))).toBe(false);
  program.dispose();
});

describe('rows that are overwritten without a loop', () => {
  const into = gaussian('into', [7, 3]);
  const rows = gaussian('rows', [3, 3]);

  it.each([
    ['in order', [4, 5, 6]],
    ['around the end', [6, 0, 1]],
    ['twice: the last counts', [2, 5, 2]],
  ])('are those of a scatter, %s', async (_, slots) => {
    const indices = int([3, 1], slots);
    const { selected, scattered } = await runOnce(await OPEN.cpu(), { into, indices, rows }, (i) => ({
      selected: selectRows(i['into']!, i['indices']!, i['rows']!),
      scattered: tf.tensorScatterUpdate(i['into']!, i['indices']!, i['rows']!),
    }));
    const expected = into.data.slice();
    for (const [j, slot] of slots.entries()) expected.set(rows.data.subarray(3 * j, 3 * j + 3), 3 * slot);
    expect([...selected!.data]).toEqual([...expected]);
    if (new Set(slots).size === 3) expect(selected).toEqual(scattered);
    const { y } = await runOnce(whole, { into, indices, rows }, (i) => ({
      y: tf.tensorScatterUpdate(i['into']!, i['indices']!, i['rows']!),
    }));
    expect([...y!.data]).toEqual([...expected]);
  });

  it('are not for indices of single numbers, nor for more comparisons than a scatter would cost', () => {
    const shape = (...of: number[]) => ({ shape: of, rank: of.length }) as unknown as tf.Tensor;
    expect(canSelectRows(shape(65_536, 128), shape(256, 1))).toBe(true);
    expect(canSelectRows(shape(65_536, 128), shape(257, 1))).toBe(false);
    expect(canSelectRows(shape(8, 8), shape(3, 2))).toBe(false);
  });
});

it.each(Object.keys(OPEN) as (keyof typeof OPEN)[])(
  'what is materialized is what it was, on %s and as a whole',
  async (name) => {
    const x = gaussian('x', [5, 4]);
    for (const engine of [await OPEN[name](), whole]) {
      const { y } = await runOnce(engine, { x }, (i) => ({ y: materialize(tf.mul(i['x']!, tf.scalar(2))) }));
      expect([...y!.data]).toEqual([...x.data].map((value) => Math.fround(2 * value)));
    }
  },
);

it.each(Object.keys(OPEN) as (keyof typeof OPEN)[])(
  'a gradient can itself be differentiated, on %s and as a whole',
  async (name) => {
    const cubes = (v: tf.Tensor) => tf.sum(tf.mul(tf.square(v), v)) as tf.Scalar;
    const penalty = (v: tf.Tensor) => {
      const { gradients } = valueAndGradients((u) => ({ value: cubes(u), byProducts: {} }), [v as tf.Tensor1D]);
      return tf.sum(tf.square(gradients[0]!));
    };
    const x = float([3], [1, 2, 3]);
    for (const engine of [await OPEN[name](), whole]) {
      const { y } = await runOnce(engine, { x }, (i) => ({ y: tf.grad(penalty)(i['x']!) }));
      expect([...y!.data]).toEqual([36, 288, 972]); // (3 x^2)^2 = 9 x^4
    }
  },
);
