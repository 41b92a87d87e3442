import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { encodeMessage } from '../../src/codec/protobuf.ts';
import { decodeOpTimes } from '../../src/engine/native/op-times.ts';
import { gaussian, OPEN } from './engines.ts';

it("takes an op's name, type, time and bytes out of a run's metadata, in order of their start", () => {
  const node = (name: string, type: string, at: number) => {
    const allocation = encodeMessage([[1, 64]]);
    const tensor = encodeMessage([[4, allocation]]);
    return encodeMessage([
      [1, Buffer.from(name)],
      [7, encodeMessage([[3, tensor]])],
      [7, encodeMessage([[3, tensor]])],
      [8, Buffer.from(`${name} = ${type}(a, b)`)],
      [10, 3],
      [13, 5_000_000_000 + at],
      [14, 100],
      [15, 2_100],
    ]);
  };
  const device = encodeMessage([
    [1, Buffer.from('/device:CPU:0')],
    [2, node('b/Mul_2', 'Mul', 4_000)],
    [2, node('MatMul_1', '_MklMatMul', 1_000)],
  ]);
  const [first, second, ...others] = decodeOpTimes(encodeMessage([[1, encodeMessage([[1, device]])]]));
  expect(others).toEqual([]);
  expect(first).toMatchObject({ name: 'MatMul_1', type: '_MklMatMul', start: 0, bytes: 128, thread: 3 });
  expect(first!.seconds).toBeCloseTo(2e-6, 9);
  expect(second).toMatchObject({ name: 'b/Mul_2', type: 'Mul' });
  expect(second!.start).toBeCloseTo(3e-6, 8);
});

it('a profiled run moves the state on like any other, and names the code of each op', async () => {
  const engine = await OPEN.native();
  const program = await engine.compile({
    name: 'profiled',
    seed: 0,
    state: { w: gaussian('w', [64, 64]) },
    inputs: {},
    fn: ({ w }) => ({ state: { w: tf.matMul(w as tf.Tensor2D, w as tf.Tensor2D) }, outputs: {} }),
  });
  try {
    const before = await program.readState();
    const ops = await program.profile!({}, 0);
    const product = ops.find((op) => op.type.includes('MatMul'))!;
    expect(product.code).toMatch(/test\/engine\/op-times\.test\.ts:\d+:\d+$/);
    expect(product.seconds).toBeGreaterThan(0);
    expect(product.bytes).toBe(64 * 64 * 4);
    expect(await program.readState()).not.toEqual(before);
  } finally {
    program.dispose();
  }
});
