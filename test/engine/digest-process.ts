import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs-core';
import type { HostTensors, Program } from '../../src/engine/engine.ts';
import { openNativeEngine } from '../../src/engine/native/native-engine.ts';
import { normals } from '../../src/random/philox.ts';
import { bytesOf, gaussian } from './engines.ts';
import { transformerInputs, transformerProgram } from './transformer-program.ts';

/**
 * Trains an MLP for 20 steps, and one step of a transformer that is large enough for TensorFlow's memory optimizer to
 * have made a difference (src/engine/native/config.ts). Prints a digest of each one's state, for a test to compare.
 */
const engine = await openNativeEngine();

async function digest(program: Program, run: (step: number) => Promise<HostTensors>, steps: number): Promise<string> {
  const hash = createHash('sha256');
  for (let step = 0; step < steps; step++) hash.update(bytesOf(await run(step)));
  return hash.update(bytesOf(await program.readState())).digest('hex');
}

const names = ['w1', 'b1', 'w2'];
const mlp = await engine.compile({
  name: 'mlp',
  seed: 3,
  state: { w1: gaussian('w1', [32, 128]), b1: gaussian('b1', [128]), w2: gaussian('w2', [128, 8]) },
  inputs: { x: { shape: [256, 32], dtype: 'float32' } },
  fn: (state, { x }, random) => {
    const noise = random.normal('noise', [256, 32]);
    const { value, grads } = tf.valueAndGrads((...[w1, b1, w2]: tf.Tensor[]) => {
      const hidden = tf.tanh(tf.add(tf.matMul(tf.add(x!, noise), w1!), b1!));
      return tf.mean(tf.square(tf.sub(tf.matMul(hidden, w2!), tf.slice(x!, [0, 0], [256, 8])))).asScalar();
    })(names.map((name) => state[name]!));
    const next = Object.fromEntries(names.map((name, i) => [name, tf.sub(state[name]!, tf.mul(grads[i]!, 0.01))]));
    return { state: next, outputs: { loss: value } };
  },
});
const first = await digest(mlp, (step) => mlp.run({ x: normals(0, 'x', step, 256 * 32) }, step), 20);

const size = { batch: 64, tokens: 64, width: 192, depth: 2, heads: 6 };
const transformer = await engine.compile(transformerProgram(size, 4096));
const second = await digest(transformer, (step) => transformer.run(transformerInputs(size, step), step), 1);
console.log(first, second);
