/** A child of the train-step benchmark: what this machine's matrix products and additions reach, in the engine that trains. */
import type { Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { openEngine } from '../../src/engine/choose.ts';
import type { Program } from '../../src/engine/engine.ts';
import { normals } from '../../src/random/philox.ts';
import { task } from '../child.ts';
import { takeTurns } from '../turn-process.ts';

export interface PeakTask {
  readonly threads: number;
}

/** Of both, the sizes that gave most are kept. */
export interface PeakReady {
  readonly matrix_size: number;
}

export interface PeakTurn {
  readonly flops_per_second: number;
  readonly bytes_per_second: number;
}

/** Products in a chain: each needs the one before, so that none is left out or made once for all. */
const CHAIN = 4;
const SIZES = [1024, 2048];
/** 128 MB each: far more than the caches that are this machine's alone. */
const ELEMENTS = 2 ** 25;

const { threads }: PeakTask = task();
const { engine } = await openEngine({ name: 'native', threads });

async function products(size: number): Promise<() => Promise<number>> {
  const scale = 1 / Math.sqrt(size);
  const program = await engine.compile({
    name: 'peak',
    seed: 0,
    state: {
      w: { shape: [size, size], dtype: 'float32', data: normals(0, 'w', 0, size * size).map((x) => x * scale) },
      x: { shape: [size, size], dtype: 'float32', data: normals(0, 'x', 0, size * size) },
    },
    inputs: {},
    fn: (state) => {
      let x = state['x'] as Tensor2D;
      for (let i = 0; i < CHAIN; i++) x = tf.matMul(x, state['w'] as Tensor2D);
      return { outputs: { some: tf.slice(x, [0, 0], [1, 1]) } };
    },
  });
  return rate(program, CHAIN * 2 * size ** 3);
}

function additions(): Promise<() => Promise<number>> {
  const vector = (purpose: string) => {
    const data = new Float32Array(ELEMENTS).fill(purpose.length);
    return { shape: [ELEMENTS], dtype: 'float32', data } as const;
  };
  return engine
    .compile({
      name: 'bandwidth',
      seed: 0,
      state: { sum: vector('sum'), by: vector('by') },
      inputs: {},
      fn: (state) => ({ state: { sum: tf.add(state['sum'], state['by']) }, outputs: {} }),
    })
    .then((program) => rate(program, 3 * 4 * ELEMENTS));
}

/** Runs once to be warm; then each call gives `amount` per second. */
async function rate(program: Program, amount: number): Promise<() => Promise<number>> {
  let step = 0;
  await program.run({}, step++);
  return async () => {
    const begun = performance.now();
    await program.run({}, step++);
    return (1000 * amount) / (performance.now() - begun);
  };
}

const ways = await Promise.all(SIZES.map(products));
const found: number[] = [];
for (const way of ways) found.push(Math.max(await way(), await way()));
const best = found.indexOf(Math.max(...found));
const add = await additions();

await takeTurns<object>(
  { matrix_size: SIZES[best]! } satisfies PeakReady,
  // Of two runs the quicker: this is what the machine can do, not what it does.
  async () =>
    ({
      flops_per_second: Math.max(await ways[best]!(), await ways[best]!()),
      bytes_per_second: Math.max(await add(), await add()),
    }) satisfies PeakTurn,
  () => ({}),
);
