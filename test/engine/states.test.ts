import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import type { Engine, HostTensors, ProgramFunction } from '../../src/engine/engine.ts';
import { bytesOf, float, int, OPEN, openWhole } from './engines.ts';

/** What a program may do with its state, on every engine as on the one in plain JavaScript. */

const given = (): HostTensors => ({
  a: float([2], [1, 2]),
  b: float([2], [3, 4]),
  i: int([2], [5, 6]),
  j: int([2], [7, 8]),
  none: float([0, 3], []),
  noWhole: int([0], []),
  one: float([], [9]),
  unread: int([], [3]),
});
const one = () => tf.scalar(1, 'int32');
const squareTimes = (by: tf.Tensor) => (v: tf.Tensor) => tf.sum(tf.mul(tf.square(v), by)) as tf.Scalar;

const CASES: Record<string, ProgramFunction> = {
  'gives it back as it was': ({ a, i, none, noWhole }) => ({
    state: { a: a!, i: i!, none: none!, noWhole: noWhole! },
    outputs: { a: a!, i: i! },
  }),
  'swaps two': ({ a, b, i, j }) => ({ state: { a: b!, b: a!, i: j!, j: i! }, outputs: { a: a!, again: a!, i: i! } }),
  'keeps one’s old value in another, which goes on': ({ a, b, j }, { x }) => ({
    state: { a: b!, b: tf.add(b!, x!), i: j!, j: tf.add(j!, one()) },
    outputs: { old: b!, sum: tf.add(a!, b!) },
  }),
  'keeps one’s old value in another, which it does not name': ({ b }) => ({ state: { a: b! }, outputs: {} }),
  'keeps an input': (_, { x }) => ({ state: { a: x! }, outputs: { x: x!, again: x! } }),
  'keeps constants': () => ({
    state: { a: tf.zeros([2]), i: tf.ones([2], 'int32'), one: tf.scalar(4) },
    outputs: { ones: tf.ones([3]), bools: tf.tensor1d([true, false], 'bool'), nothing: tf.zeros([0, 2]) },
  }),
  'keeps one value twice': ({ a }, { x }) => {
    const sum = tf.add(a!, x!);
    return { state: { a: sum, b: sum }, outputs: { sum, turned: tf.reshape(sum, [2, 1]) } };
  },
  'has some without elements': ({ none, noWhole }) => ({
    state: { none: tf.add(none!, tf.scalar(1)), noWhole: noWhole! },
    outputs: { twice: tf.mul(none!, tf.scalar(2)), sum: tf.sum(none!) },
  }),
  'counts in whole numbers': ({ i, unread }, { x }) => ({
    state: { i: tf.add(i!, tf.cast(x!, 'int32')), unread: tf.add(unread!, one()) },
    outputs: { sum: tf.sum(i!) },
  }),
  'changes none of it': (_, { x }) => ({ outputs: { x: x! } }),
  'does nothing at all': () => ({ outputs: {} }),
  'draws where a gradient is taken': ({ a }, _, random) => {
    const { value, grads } = tf.valueAndGrads((v: tf.Tensor) => squareTimes(random.uniform('in', [2]))(v))([a!]);
    return { state: { a: tf.sub(a!, tf.mul(grads[0]!, 0.1)) }, outputs: { value, drawn: random.uniform('in', [2]) } };
  },
  'draws in a backward pass': ({ a }, _, random) => {
    const scaled = tf.customGrad((v, save) => {
      const drawn = random.uniform('forward', [2]);
      (save as tf.GradSaveFunc)([drawn]);
      const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) =>
        tf.mul(dy, tf.add(saved[0]!, random.uniform('backward', [2])));
      return { value: tf.sum(tf.mul(v as tf.Tensor, drawn)), gradFunc };
    });
    const gradient = tf.grad((v) => scaled(v))(a!);
    return { state: { a: gradient }, outputs: { gradient } };
  },
  'draws what nobody uses': ({ a }, _, random) => {
    random.uniform('unused', [1000]);
    random.uniform('empty', [0]);
    return { state: { a: tf.add(a!, random.uniform('scalar', [])) }, outputs: {} };
  },
};

const x = Float32Array.of(10, 20);

/** Four runs, the state after each, and a run more after all was written anew; and the snapshots that it held meanwhile. */
async function lived(engine: Engine, fn: ProgramFunction): Promise<HostTensors[]> {
  const inputs = { x: { shape: [2], dtype: 'float32' as const } };
  const program = await engine.compile({ name: 'state', seed: 3, state: given(), inputs, fn });
  const seen: HostTensors[] = [];
  const held: { tensors: HostTensors; release: () => void; bytes: Buffer }[] = [];
  for (let step = 0; step < 5; step++) {
    if (step === 4) await program.writeState(given());
    const snapshot = await program.snapshot(['a', 'b', 'i', 'j']);
    held.push({ ...snapshot, bytes: bytesOf(snapshot.tensors) });
    seen.push(await program.run({ x: x.map((value) => value + step) }, step), await program.readState());
  }
  for (const { tensors, bytes, release } of held) {
    expect(bytesOf(tensors).equals(bytes)).toBe(true);
    release();
  }
  program.dispose();
  return seen;
}

const rounded = (all: HostTensors[]): object[] =>
  all.map((tensors) =>
    Object.fromEntries(
      Object.entries(tensors).map(([name, { shape, dtype, data }]) => [
        name,
        { shape, dtype, data: [...data].map((value) => Number(value.toPrecision(5))) },
      ]),
    ),
  );

describe.each<[string, () => Promise<Engine>]>([
  ['native', OPEN.native],
  ['native, as a whole,', openWhole],
  ['wasm', OPEN.wasm],
])('a program on %s', (_, open) => {
  it.each(Object.entries(CASES))('%s', async (_, fn) => {
    expect(rounded(await lived(await open(), fn))).toEqual(rounded(await lived(await OPEN.cpu(), fn)));
  });
});
