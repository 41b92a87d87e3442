import * as tf from '@tensorflow/tfjs-core';
import type { ProgramDefinition, ProgramFunction } from '../../src/engine/engine.ts';
import { loadCApi } from '../../src/engine/native/c-api.ts';
import { sessionConfig } from '../../src/engine/native/config.ts';
import { Graph } from '../../src/engine/native/graph.ts';
import { findLibraries } from '../../src/engine/native/libraries.ts';
import { NativeProgram } from '../../src/engine/native/native-program.ts';
import { Session } from '../../src/engine/native/session.ts';
import { roomFor } from '../../src/engine/native/state-room.ts';
import { float, gaussian } from './engines.ts';
import { counting } from './native-census.ts';

/**
 * Uses programs in every way, the ways that fail among them, and counts native objects. Prints, as JSON, how many of each
 * kind were made and how many are there at the end. A process of its own: the libraries are loaded once a process.
 */
const census = counting(loadCApi(await findLibraries()));
const { api } = census;
const config = sessionConfig({ threads: 2 });
const compile = (
  definition: Partial<ProgramDefinition> & Pick<ProgramDefinition, 'fn'>,
  bytes = config,
  isWhole = false,
) =>
  NativeProgram.compile(
    api,
    { config: () => bytes, isWhole, bf16: 'rounded' },
    { name: 'counted', seed: 0, state: {}, inputs: {}, ...definition },
  );

async function fails(work: Promise<unknown>, why: RegExp): Promise<void> {
  const error = await work.then(
    () => new Error('nothing failed'),
    (reason: Error) => reason,
  );
  if (!why.test(error.message)) throw new Error(`it should have failed with ${why}: ${error.message}`);
}

const x = { x: { shape: [2, 2], dtype: 'float32' } } as const;
const two = () => new Float32Array(2);
const four = () => new Float32Array(4);

async function everyWay(): Promise<void> {
  const program = await compile({
    state: { table: gaussian('table', [4, 2]), total: float([2], [0, 0]) },
    inputs: { at: { shape: [1], dtype: 'int32' }, by: { shape: [2], dtype: 'float32' } },
    fn: ({ table, total }, { at, by }, random) => {
      const row = tf.reshape(tf.gather(table!, at!), [2]);
      return {
        state: { total: tf.add(total!, tf.mul(tf.mul(row, by!), random.normal('a', [2]))) },
        outputs: { row, again: row },
      };
    },
  });
  await program.run({ at: Int32Array.of(1), by: two() }, 0);
  await program.readState();
  await program.writeState({ total: float([2], [1, 1]) });
  await program.writeState(await program.readState());
  const snapshot = await program.snapshot(['table']);
  await fails(program.run({ at: Int32Array.of(9), by: two() }, 1), /not in \[0, 4\)/);
  const given = two();
  const run = program.run({ at: Int32Array.of(1), by: given }, 2);
  structuredClone(given, { transfer: [given.buffer] }); // Before its turn comes.
  await fails(run, /no tensor/);
  const total = float([2], [3, 3]);
  const write = program.writeState({ table: gaussian('table', [4, 2]), total });
  structuredClone(total.data, { transfer: [total.data.buffer as ArrayBuffer] });
  await fails(write, /no tensor/);
  const last = program.run({ at: Int32Array.of(2), by: two() }, 3);
  await Promise.resolve();
  program.dispose();
  await last;
  await fails(program.run({ at: Int32Array.of(2), by: two() }, 4), /disposed/);
  snapshot.release();
  snapshot.release();

  const room = roomFor(api, { shape: [8], dtype: 'float32' });
  (await compile({ state: { room }, fn: () => ({ outputs: {} }) })).dispose();
  await fails(
    compile({ inputs: x, fn: (_, { x }) => ({ outputs: { y: tf.matMul(x!, tf.ones([3, 3])) } }) }),
    /operation MatMul/,
  );
  await fails(compile({ inputs: x, fn: (_, { x }) => ({ outputs: { y: tf.scalar(x!.dataSync()[0]!) } }) }), /read/);
  await fails(compile({ inputs: x, fn: (_, { x }) => ({ outputs: tf.unique(x!) as never }) }), /depends on the values/);
  await fails(
    compile({ inputs: x, state: { s: float([2], [1, 2]) }, fn: () => ({ state: { s: tf.ones([3]) }, outputs: {} }) }),
    /state "s"/,
  );
  // A session that TensorFlow refuses: this is no ConfigProto.
  await fails(
    compile({ inputs: x, fn: (_, { x }) => ({ outputs: { x: x! } }) }, Uint8Array.of(0xff)),
    /session options/,
  );
  const twice = await compile({ inputs: x, fn: (_, { x }) => ({ outputs: { x: x! } }) });
  await Promise.all([twice.run({ x: four() }, 0), twice.run({ x: four() }, 1)]);
  twice.dispose();
  twice.dispose();

  const compiled: ProgramFunction = ({ s }, { x }, random) => ({
    state: { s: tf.add(s!, random.normal('b', [2])) },
    outputs: { y: tf.mul(x!, s!) },
  });
  const lacking: ProgramFunction = (_, { x }) => ({
    outputs: { y: tf.dilation2d(tf.reshape(x!, [1, 2, 2, 1]) as tf.Tensor4D, tf.ones([1, 1, 1]), 1, 'same') },
  });
  for (const [fn, state] of [
    [compiled, { s: two() }],
    [lacking, {}],
  ] as const) {
    const tensors = Object.fromEntries(Object.entries(state).map(([name, data]) => [name, float([2], data)]));
    const whole = await compile({ inputs: x, state: tensors, fn }, config, true);
    await whole.run({ x: four() }, 0);
    await whole.run({ x: four() }, 1);
    await whole.profile({ x: four() }, 2);
    whole.dispose();
  }

  const open = await compile({
    inputs: { x: { shape: ['n', 2], dtype: 'float32' } },
    state: { s: float([2], [1, 2]) },
    fn: ({ s }, { x }) => ({
      state: { s: x!.shape[0] === 3 ? tf.ones([3]) : tf.add(s!, 1) },
      outputs: { y: tf.mul(x!, s!) },
    }),
  });
  for (const n of [1, 2, 1]) await open.run({ x: new Float32Array(2 * n) }, n);
  await fails(open.run({ x: new Float32Array(6) }, 3), /state "s"/);
  await open.run({ x: float([2, 2], [1, 2, 3, 4]) }, 4);
  open.dispose();

  using graph = new Graph(api);
  using session = new Session(graph, config);
  for (let i = 0; i < 2; i++)
    if (session.deviceTypes().join() !== 'CPU') throw new Error('a session for the CPU has other devices');
}

for (let i = 0; i < 3; i++) await everyWay();
await new Promise((resolve) => setTimeout(resolve, 0)); // A disposal takes its turn after the last run.
console.log(JSON.stringify({ made: census.made(), alive: census.alive() }));
