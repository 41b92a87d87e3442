/** A child of the train-step benchmark: what this machine's matrix products and additions reach, in the engine that trains. */
import type { Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { openEngine } from '../../src/engine/choose.ts';
import type { Program } from '../../src/engine/engine.ts';
import type { NativeDevice } from '../../src/engine/native/config.ts';
import { normals } from '../../src/random/philox.ts';
import { task } from '../child.ts';
import { takeTurns } from '../turn-process.ts';

export interface PeakTask {
  readonly threads: number;
  readonly device: NativeDevice;
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
/**
 * By device: sizes of the products, and numbers of the vectors, which are far more than the caches hold that are this machine's alone
 * (128 MB each; 2 GB on a GPU). A GPU does so much in a moment that small ones would measure how long a run takes to
 * begin: 4 products of 8,192 take it some 90 ms. A chain of sums would be one pass to TensorFlow's compiler.
 */
const WORK = {
  cpu: { sizes: [1024, 2048], elements: 2 ** 25 },
  gpu: { sizes: [8192], elements: 2 ** 29 },
} as const;
/** Normal numbers that are made; a matrix has them again and again. A prime, so that its rows differ. */
const DIFFERENT = 1_000_003;

const { threads, device }: PeakTask = task();
const { engine } = await openEngine({ name: `native-${device}`, threads });
const { sizes, elements } = WORK[device];

function matrix(purpose: string, size: number, scale = 1) {
  const some = normals(0, purpose, 0, Math.min(DIFFERENT, size * size));
  const data = new Float32Array(size * size);
  for (let i = 0; i < data.length; i++) data[i] = scale * some[i % some.length]!;
  return { shape: [size, size], dtype: 'float32', data } as const;
}

async function products(size: number): Promise<() => Promise<number>> {
  const program = await engine.compile({
    name: 'peak',
    seed: 0,
    state: {
      w: matrix('w', size, 1 / Math.sqrt(size)),
      x: matrix('x', size),
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
    const data = new Float32Array(elements).fill(purpose.length);
    return { shape: [elements], dtype: 'float32', data } as const;
  };
  return engine
    .compile({
      name: 'bandwidth',
      seed: 0,
      state: { sum: vector('sum'), by: vector('by') },
      inputs: {},
      fn: (state) => ({ state: { sum: tf.add(state['sum'], state['by']) }, outputs: {} }),
    })
    .then((program) => rate(program, 3 * 4 * elements));
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

const ways = await Promise.all(sizes.map(products));
const found: number[] = [];
for (const way of ways) found.push(Math.max(await way(), await way()));
const best = found.indexOf(Math.max(...found));
const add = await additions();

await takeTurns<object>(
  { matrix_size: sizes[best]! } satisfies PeakReady,
  // Of two runs the quicker: this is what the machine can do, not what it does.
  async () =>
    ({
      flops_per_second: Math.max(await ways[best]!(), await ways[best]!()),
      bytes_per_second: Math.max(await add(), await add()),
    }) satisfies PeakTurn,
  () => ({}),
);
