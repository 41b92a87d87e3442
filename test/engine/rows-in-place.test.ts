import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it, test } from 'vitest';
import type { ProgramFunction } from '../../src/engine/engine.ts';
import { gaussian, OPEN } from './engines.ts';

const K = 6;
const definition = (fn: ProgramFunction) => ({
  name: 'ring',
  seed: 0,
  state: { ring: gaussian('ring', [K, 3]), other: gaussian('other', [K, 3]) },
  inputs: { slots: { shape: [2, 1], dtype: 'int32' as const }, fresh: { shape: [2, 3], dtype: 'float32' as const } },
  fn,
});
const written = (into: Tensor, slots: Tensor, rows: Tensor): Tensor =>
  tf.tensorScatterUpdate(into, slots as tf.Tensor2D, rows);
/** (2, 3): made of all rows. */
const mixed = (rows: Tensor): Tensor => tf.matMul(tf.ones([2, K]), tf.reshape(rows, [K, 3]));

const PROGRAMS: [string, { inPlace: number; fn: ProgramFunction }][] = [
  [
    'are read as they were by the step that overwrites them',
    {
      inPlace: 1,
      fn: ({ ring }, { slots, fresh }) => ({
        state: { ring: written(ring!, slots!, fresh!) },
        outputs: { product: tf.matMul(ring as tf.Tensor2D, tf.transpose(fresh!)), squares: tf.square(ring!) },
      }),
    },
  ],
  [
    'of two states that are made of each other are both made of the old ones',
    {
      inPlace: 2,
      fn: ({ ring, other }, { slots }) => ({
        state: { ring: written(ring!, slots!, mixed(other!)), other: written(other!, slots!, mixed(ring!)) },
        outputs: {},
      }),
    },
  ],
  [
    'are copied where the old ones go out',
    {
      inPlace: 0,
      fn: ({ ring }, { slots, fresh }) => ({
        state: { ring: written(ring!, slots!, fresh!) },
        outputs: { old: ring!, shaped: tf.reshape(ring!, [3, K]) },
      }),
    },
  ],
  [
    'are copied where another state takes the old ones',
    {
      inPlace: 0,
      fn: ({ ring }, { slots, fresh }) => ({
        state: { ring: written(ring!, slots!, fresh!), other: tf.reshape(ring!, [K, 3]) },
        outputs: {},
      }),
    },
  ],
  [
    'are copied where the new ones are used further',
    {
      inPlace: 0,
      fn: ({ ring }, { slots, fresh }) => {
        const next = written(ring!, slots!, fresh!);
        return { state: { ring: next }, outputs: { mean: tf.mean(next) } };
      },
    },
  ],
  [
    'are copied where they go into another state than they come of',
    {
      inPlace: 0,
      fn: ({ ring }, { slots, fresh }) => ({ state: { other: written(ring!, slots!, fresh!) }, outputs: {} }),
    },
  ],
];

it.each(PROGRAMS)('rows of a state %s', async (_, { inPlace, fn }) => {
  const engines = await Promise.all([OPEN.native(), OPEN.wasm(), OPEN.cpu()]);
  const [traced, ...plain] = await Promise.all(engines.map((engine) => engine.compile(definition(fn))));
  for (let step = 0; step < 4; step++) {
    const inputs = {
      slots: Int32Array.of((2 * step) % K, (2 * step + 1) % K),
      fresh: gaussian(`fresh ${step}`, [2, 3]).data,
    };
    const outputs = await traced!.run(inputs, step);
    const state = await traced!.readState();
    for (const program of plain) {
      for (const [name, { data }] of Object.entries(await program.run(inputs, step)))
        expectClose(outputs[name]!.data, data);
      for (const [name, { data }] of Object.entries(await program.readState())) expectClose(state[name]!.data, data);
    }
  }
  const types = (await traced!.profile!({ slots: Int32Array.of(0, 1), fresh: new Float32Array(6) }, 4)).map(
    (op) => op.type,
  );
  expect(types.filter((type) => type === 'InplaceUpdate')).toHaveLength(inPlace);
  expect(types.includes('TensorScatterUpdate')).toBe(inPlace === 0);
  for (const owned of [traced!, ...plain, ...engines]) owned.dispose();
});

test('a state that is held stays as it was while rows of it are overwritten', async () => {
  const engine = await OPEN.native();
  const [, { fn }] = PROGRAMS[0]!;
  const program = await engine.compile(definition(fn));
  const step = (n: number) =>
    program.run({ slots: Int32Array.of(0, 1), fresh: gaussian(`fresh ${n}`, [2, 3]).data }, n);
  await step(0);
  const copy = (await program.readState())['ring']!.data;
  const held = await program.snapshot(['ring']);
  await step(1);
  expect(held.tensors['ring']!.data).toEqual(copy);
  expect((await program.readState())['ring']!.data).not.toEqual(copy);
  held.release();
  program.dispose();
  engine.dispose();
});

function expectClose(found: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(found.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) expect(found[i]).toBeCloseTo(expected[i]!, 4);
}
