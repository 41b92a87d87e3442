import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import type { ProgramFunction, Tensors } from '../../src/engine/engine.ts';
import { fused, fusedUpdate } from '../../src/engine/fused.ts';
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

describe.each(Object.keys(OPEN) as (keyof typeof OPEN)[])('a fused update on %s', (name) => {
  const N = 40_000;
  const [a, b] = [gaussian('a', [N]), gaussian('b', [N])];
  const inputs = { by: { shape: [], dtype: 'float32' as const } };
  /** x + y k, and y + that: the second needs the first's new value. */
  const both = (x: tf.Tensor, y: tf.Tensor, k: tf.Tensor): tf.Tensor[] => {
    const first = tf.add(x, tf.mul(y, k));
    return [first, tf.add(y, first)];
  };
  const compiled = async (fn: ProgramFunction) => {
    const engine = await OPEN[name]();
    return { engine, program: await engine.compile({ name: 'update', seed: 0, state: { a, b }, inputs, fn }) };
  };
  const by = (k: number) => ({ by: Float32Array.of(k) });
  /** The two states after updates by each k, in float64. */
  const plain = (ks: readonly number[]): [number[], number[]] => {
    let [x, y] = [[...a.data], [...b.data]] as [number[], number[]];
    for (const k of ks) {
      x = x.map((value, i) => value + y[i]! * k);
      y = y.map((value, i) => value + x[i]!);
    }
    return [x, y];
  };
  const expectClose = (found: ArrayLike<number>, expected: ArrayLike<number>): void => {
    let worst = 0;
    for (let i = 0; i < expected.length; i++) worst = Math.max(worst, Math.abs(found[i]! - expected[i]!));
    expect(found.length).toBe(expected.length);
    expect(worst).toBeLessThan(1e-4);
  };

  it('is the states of the steps after it, and gives the same step their old values and their new ones', async () => {
    const { engine, program } = await compiled((state, { by: k }) => {
      const [x, y] = fusedUpdate('both', [state['a']!, state['b']!], [k!], both);
      return { state: { a: x!, b: y! }, outputs: { moved: tf.sub(x!, state['a']!), whole: tf.mean(y!) } };
    });
    const ks = [0.5, -0.25, 2];
    for (const [i, k] of ks.entries()) {
      const { moved } = await program.run(by(k), i);
      const [before, after] = [plain(ks.slice(0, i)), plain(ks.slice(0, i + 1))];
      expectClose(
        moved!.data,
        after[0].map((value, at) => value - before[0][at]!),
      );
      const state = await program.readState();
      expectClose(state['a']!.data, after[0]);
      expectClose(state['b']!.data, after[1]);
    }
    program.dispose();
    engine.dispose();
  });

  it('leaves a state that is held as it was', async () => {
    const { engine, program } = await compiled((state, { by: k }) => {
      const [x, y] = fusedUpdate('both', [state['a']!, state['b']!], [k!], both);
      return { state: { a: x!, b: y! }, outputs: {} };
    });
    await program.run(by(1), 0);
    const copy = await program.readState();
    const held = await program.snapshot(['a', 'b']);
    for (let i = 1; i <= 3; i++) await program.run(by(1), i);
    for (const state of ['a', 'b']) expect(held.tensors[state]!.data).toEqual(copy[state]!.data);
    expectClose((await program.readState())['b']!.data, plain([1, 1, 1, 1])[1]);
    held.release();
    await program.run(by(1), 4);
    expectClose((await program.readState())['a']!.data, plain([1, 1, 1, 1, 1])[0]);
    program.dispose();
    engine.dispose();
  });

  const [afterA, afterB] = plain([0.5]);
  const twice = (state: readonly number[]) => state.map((value) => 2 * value);
  it.each([
    ['a state that the program gives back as it was', (state, _x, y) => ({ a: state['a']!, b: y }), a.data, afterB],
    ['a state that the program does not give back', (_, x) => ({ a: x }), afterA, b.data],
    ['a state that becomes something else', (_, x, y) => ({ a: tf.mul(x, 2), b: y }), twice(afterA), afterB],
    [
      'a state that becomes the old one with rows of it overwritten',
      (state, x, y) => ({
        a: tf.tensorScatterUpdate(state['a']!, tf.tensor2d([[1]], [1, 1], 'int32'), tf.slice(x, 0, 1)),
        b: y,
      }),
      Array.from(a.data, (value, i) => (i === 1 ? afterA[0]! : value)),
      afterB,
    ],
    ['two states that change places', (_, x, y) => ({ a: y, b: x }), afterB, afterA],
  ] satisfies [
    string,
    (state: Tensors, x: tf.Tensor, y: tf.Tensor) => Tensors,
    ArrayLike<number>,
    ArrayLike<number>,
  ][])('changes no program: %s', async (_, next, ofA, ofB) => {
    const { engine, program } = await compiled((state, { by: k }) => {
      const [x, y] = fusedUpdate('both', [state['a']!, state['b']!], [k!], both);
      return { state: next(state, x!, y!), outputs: { first: tf.slice(x!, 0, 1) } };
    });
    expect((await program.run(by(0.5), 0))['first']!.data[0]).toBeCloseTo(afterA[0]!, 5);
    const state = await program.readState();
    expectClose(state['a']!.data, ofA);
    expectClose(state['b']!.data, ofB);
    program.dispose();
    engine.dispose();
  });

  it('is refused where it gives something else than the next values', async () => {
    const update = async (fn: (x: tf.Tensor, y: tf.Tensor) => tf.Tensor[]) => {
      const { program } = await compiled((state) => ({
        state: { a: fusedUpdate('odd', [state['a']!, state['b']!], [], fn)[0]! },
        outputs: {},
      }));
      await program.run(by(1), 0);
    };
    await expect(update((x) => [x])).rejects.toThrow('update "odd" gives float32 [40000] for states of');
    await expect(update((x, y) => [x, tf.reshape(y, [N, 1])])).rejects.toThrow('float32 [40000,1] for states of');
  });

  it('may be made twice of the same old states', async () => {
    const { engine, program } = await compiled((state, { by: k }) => {
      const old = [state['a']!, state['b']!];
      const [x] = fusedUpdate('both', old, [k!], both);
      const [, y] = fusedUpdate('both', old, [tf.mul(k!, 2)], both);
      return { state: { a: x!, b: y! }, outputs: {} };
    });
    await program.run(by(0.5), 0);
    const state = await program.readState();
    expectClose(state['a']!.data, plain([0.5])[0]);
    expectClose(state['b']!.data, plain([1])[1]);
    program.dispose();
    engine.dispose();
  });
});

it('a fused update on native takes no new memory, and none is taken for states that it was given in rooms', async () => {
  const engine = await OPEN.native();
  const rooms = [
    engine.room({ shape: [40_000], dtype: 'float32' }),
    engine.room({ shape: [40_000], dtype: 'float32' }),
  ];
  for (const { data } of rooms) data.fill(1);
  const program = await engine.compile({
    name: 'update',
    seed: 0,
    state: { a: rooms[0]!, b: rooms[1]! },
    inputs: {},
    fn: ({ a, b }) => {
      const [x, y] = fusedUpdate('swell', [a!, b!], [], (p, q) => [tf.add(p!, q!), tf.mul(q!, 2)]);
      return { state: { a: x!, b: y! }, outputs: {} };
    },
  });
  for (let step = 0; step < 3; step++) await program.run({}, step);
  // The rooms are the states themselves: only a test looks at them now.
  expect([rooms[0]!.data[7], rooms[1]!.data[7]]).toEqual([1 + 1 + 2 + 4, 8]);
  program.dispose();
  engine.dispose();
});
