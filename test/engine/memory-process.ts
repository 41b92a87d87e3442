import * as tf from '@tensorflow/tfjs-core';
import type { Program } from '../../src/engine/engine.ts';
import { openNativeEngine } from '../../src/engine/native/native-engine.ts';
import { gaussian } from './engines.ts';

/**
 * Makes and drops engines and programs, or runs one program, for long enough to see what is left behind. Prints, as JSON,
 * the MiB resident after each of the windows that it does so in, and how many of tfjs's tensors stayed. A process of its
 * own, started with --expose-gc: the test's has a heap that moves.
 */
const N = 256; // A tensor of N x N floats is 256 KiB.
const x = new Float32Array(N * N).fill(1);

async function compiled(): Promise<Program> {
  const engine = await openNativeEngine();
  const program = await engine.compile({
    name: 'small',
    seed: 0,
    state: { w: gaussian('w', [N, N]) },
    inputs: { x: { shape: [N, N], dtype: 'float32' } },
    fn: ({ w }, { x }, random) => {
      const noisy = tf.add(x!, random.normal('noise', [N, 1]));
      const loss = (w: tf.Tensor) => tf.mean(tf.square(tf.tanh(tf.mul(noisy, w)))).asScalar();
      const { value, grads } = tf.valueAndGrads(loss)([w!]);
      return { state: { w: tf.sub(w!, tf.mul(grads[0]!, 0.01)) }, outputs: { value, gradient: grads[0]! } };
    },
  });
  engine.dispose();
  return program;
}

async function programs(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const program = await compiled();
    await program.run({ x }, i);
    (await program.snapshot(['w'])).release();
    program.dispose();
  }
}

const one = await compiled();
async function runs(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await one.run({ x }, i);
    if (i % 50 === 0) await one.writeState(await one.readState());
    if (i % 50 === 25) (await one.snapshot(['w'])).release();
  }
}

const resident = async (): Promise<number> => {
  for (let i = 0; i < 3; i++) {
    global.gc!();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return process.memoryUsage.rss() / 2 ** 20;
};

const WINDOWS = 4;
const [use, times] = process.argv[2] === 'programs' ? [programs, 200] : [runs, 5000];
const tensors = tf.memory().numTensors;
const after: number[] = [];
for (let i = 0; i < WINDOWS; i++) {
  await use(times / WINDOWS);
  after.push(await resident());
}
console.log(JSON.stringify({ times, after, tensors: tf.memory().numTensors - tensors }));
