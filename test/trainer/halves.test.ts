import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { initialParameters, parameterLayout, unpack } from '../../src/model/parameters.ts';
import { halfNames, halvesIn, halvesOf, inHalves, joinHalves, unpackHalves } from '../../src/trainer/halves.ts';

const layoutOf = (sizes: readonly number[]) =>
  parameterLayout(sizes.map((n, i) => ({ name: `p${i}`, shape: [n], init: { kind: 'normal', std: 1 } })));
const iota = (n: number) => Float32Array.from({ length: n }, (_, i) => i);

let engine: Engine;
beforeAll(async () => {
  engine = await openCpuEngine();
});
afterAll(() => engine.dispose());

describe('the halves of a flat vector', () => {
  it.each([
    [[4, 4], 1],
    [[1, 1, 1, 7], 3],
    [[7, 1, 1, 1], 1],
    [[2, 3, 4, 1], 2],
    [[100, 1], 1],
    [[1, 100], 1],
  ])('of parameters of %j is cut before parameter %i, nearest to the middle, neither of them empty', (sizes, cut) => {
    const [first, second] = halvesOf(layoutOf(sizes));
    expect([first.specs.length, second.specs.length]).toEqual([cut, sizes.length - cut]);
    expect(first.size + second.size).toBe(layoutOf(sizes).size);
  });

  it('are views of the vector, and one vector again when they are joined', () => {
    const layout = layoutOf([2, 3, 4, 1]);
    const flat = iota(10);
    const state = inHalves('ema', flat, layout);
    expect(Object.keys(state)).toEqual(halfNames('ema'));
    for (const { data } of Object.values(state)) expect(data.buffer).toBe(flat.buffer);
    const joined = joinHalves(state, 'ema');
    expect(joined).toEqual({ shape: [10], dtype: 'float32', data: flat });
    expect(joined.data.buffer).not.toBe(flat.buffer);
  });

  it('hold the parameters that the whole vector holds, drawn and unpacked', () => {
    const layout = layoutOf([2, 3, 4, 1]);
    const whole = initialParameters(layout, 7);
    const drawn = halvesOf(layout).flatMap((half) => [...initialParameters(half, 7)]);
    expect(drawn).toEqual([...whole]);
    const state = Object.fromEntries(
      Object.entries(inHalves('params', whole, layout)).map(([name, { data }]) => [name, tf.tensor1d(data)]),
    );
    const parts = unpackHalves(halvesIn(state, 'params'), layout);
    const expected = unpack(tf.tensor1d(whole), layout);
    expect(Object.keys(parts)).toEqual(Object.keys(expected));
    for (const [name, part] of Object.entries(parts)) expect(part.dataSync()).toEqual(expected[name]!.dataSync());
  });
});
