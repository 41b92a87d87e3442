import * as tf from '@tensorflow/tfjs-core';
import { openNativeEngine } from '../../src/engine/native/native-engine.ts';
import { gaussian } from './engines.ts';
import { transformerInputs, transformerProgram } from './transformer-program.ts';

/**
 * Uses the native engine for long enough to see what is left behind. Prints, as JSON, how many MiB the process grew
 * and how many of tfjs's tensors stayed. A process of its own, started with --expose-gc: the test's has a heap that moves.
 */
const engine = await openNativeEngine();

async function programs(times: number): Promise<void> {
  const size = { batch: 4, tokens: 9, width: 16, depth: 2, heads: 2 };
  for (let i = 0; i < times; i++) {
    const program = await engine.compile(transformerProgram(size, 4096));
    await program.run(transformerInputs(size, 0), 0);
    await program.readState();
    program.dispose();
    // Room is taken by a program, or given back when it is forgotten.
    const room = engine.room({ shape: [1 << 18], dtype: 'float32' });
    engine.room({ shape: [1 << 18], dtype: 'float32' });
    const fn0 = (_: object, inputs: Record<string, tf.Tensor>) => ({ outputs: inputs });
    const x = { shape: [], dtype: 'int32' } as const;
    (await engine.compile({ name: 'takes', seed: 0, state: { room }, inputs: { x }, fn: fn0 })).dispose();
    // A definition that fails half-way leaves nothing behind either.
    const inputs = { x: { shape: [2, 2], dtype: 'float32' } } as const;
    const fails = { name: 'fails', seed: 0, state: { s: gaussian('s', [1 << 18]) }, inputs };
    const fn = (_: object, { x }: Record<string, tf.Tensor>) => ({
      outputs: { y: tf.matMul(tf.exp(x!), tf.ones([3, 3])) },
    });
    await engine.compile({ ...fails, fn }).then(
      () => Promise.reject(new Error('it should have failed')),
      () => {},
    );
  }
}

async function runs(times: number): Promise<void> {
  const program = await engine.compile({
    name: 'mover',
    seed: 0,
    state: { s: gaussian('s', [64, 1024]) },
    inputs: { x: { shape: [64, 1024], dtype: 'float32' } },
    fn: ({ s }, { x }) => {
      const next = tf.add(tf.mul(s!, 0.5), x!);
      return { state: { s: next }, outputs: { next } };
    },
  });
  const x = new Float32Array(64 * 1024).fill(1);
  for (let i = 0; i < times; i++) {
    await program.run({ x }, i);
    if (i % 10 === 0) await program.writeState(await program.readState(['s']));
    if (i % 10 === 5) (await program.snapshot(['s'])).release();
  }
  program.dispose();
}

const rss = async (): Promise<number> => {
  for (let i = 0; i < 3; i++) {
    global.gc!();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return process.memoryUsage().rss / 2 ** 20;
};

const [use, warmUp, times] = process.argv[2] === 'programs' ? [programs, 20, 40] : [runs, 300, 1000];
await use(warmUp);
const tensors = tf.memory().numTensors;
const before = await rss();
await use(times);
console.log(JSON.stringify({ times, grown: (await rss()) - before, tensors: tf.memory().numTensors - tensors }));
