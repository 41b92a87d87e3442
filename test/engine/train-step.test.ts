import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { givenBatch } from '../../bench/train-step/given-values.ts';
import { shapePipeline } from '../../bench/train-step/shapes.ts';
import { unitPixels } from '../../src/codec/unit-pixels.ts';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import type { Engine, HostTensors, Program } from '../../src/engine/engine.ts';
import { openNativeEngine } from '../../src/engine/native/native-engine.ts';
import { normals } from '../../src/random/philox.ts';
import { inHalves, joinHalves } from '../../src/trainer/halves.ts';
import { definePipeline } from '../../src/trainer/pipeline.ts';
import { stepFeed } from '../../src/trainer/run-step.ts';
import { initialState, trainLayout } from '../../src/trainer/train-state.ts';
import { stepInputs, trainStep } from '../../src/trainer/train-step.ts';
import { bytesOf } from './engines.ts';

/** The trainer's own step, compiled, against the same step in plain JavaScript, op by op. */

const pipeline = definePipeline({
  name: 'tiny',
  source: { topic: 'tiny' },
  operators: { batch: 4 },
  model: { input: [8, 8, 1], patch: 4, width: 16, depth: 2, heads: 2, classes: 3 },
  losses: { repulsion: { lambda: 0.05, queue: 10, ramp: 0, projection: { dim: 8 } } },
  optimizer: { learningRate: 1e-3, clip: null },
});

let engines: Engine[] = [];
beforeAll(async () => {
  engines = [await openNativeEngine(), await openCpuEngine()];
});
afterAll(() => {
  for (const engine of engines) engine.dispose();
});

const compile = (engine: Engine): Promise<Program> =>
  engine.compile({
    name: 'train',
    seed: 3,
    // The final layer and adaLN start at zero, which hides most gradients: moved off it, as after some training.
    state: moved(initialState(pipeline)),
    inputs: stepInputs(pipeline),
    fn: trainStep(pipeline),
  });

function moved(state: HostTensors): HostTensors {
  const params = joinHalves(state, 'params').data.map((value, i) => value + 0.05 * noise[i]) as Float32Array;
  const weights = ['params', 'ema', 'slow'].map((vector) => inHalves(vector, params.slice(), trainLayout(pipeline)));
  return Object.assign({}, state, ...weights);
}
const noise = normals(1, 'moved', 0, 1 << 16);

const runStep = (
  program: Program,
  step: number,
  images: Float32Array | Uint8Array = normals(2, 'images', step, 4 * 64),
): Promise<HostTensors> =>
  program.run(
    {
      images,
      labels: Int32Array.of(0, 1, 2, 3),
      step: Int32Array.of(step),
      learningRate: Float32Array.of(1e-3),
      queueWeight: Float32Array.of(1),
    },
    step,
  );

/** Largest difference, relative to the largest value. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let far = 0;
  let large = 1e-12;
  for (let i = 0; i < a.length; i++) {
    far = Math.max(far, Math.abs(a[i] - b[i]));
    large = Math.max(large, Math.abs(b[i]));
  }
  return far / large;
}

test('the compiled step has the loss and every gradient of the plain one, and ten steps of AdamW stay with it', async () => {
  const [native, plain] = await Promise.all(engines.map(compile));
  try {
    for (let step = 1; step <= 10; step++) {
      const [ours, theirs] = [await runStep(native, step), await runStep(plain, step)];
      expect(difference(ours['report'].data, theirs['report'].data)).toBeLessThan(1e-4);
      expect(difference(ours['keys'].data, theirs['keys'].data)).toBeLessThan(1e-4);
      const [left, right] = [await native.readState(), await plain.readState()];
      expect(Object.keys(left).sort()).toEqual(Object.keys(right).sort());
      for (const [name, { data }] of Object.entries(left)) {
        // After the first step the first moment is (1 - beta1) times the gradient: every entry of it, unclipped.
        const bound = step === 1 && name.startsWith('adam.m') ? 2e-5 : 1e-3;
        expect(difference(data, right[name].data), `${name} after step ${step}`).toBeLessThan(bound);
      }
    }
  } finally {
    native.dispose();
    plain.dispose();
  }
});

test('pixels as bytes give the bits of the same pixels as floats, on either engine, in any order of the two', async () => {
  const every = Uint8Array.from({ length: 256 }, (_, value) => value);
  for (const engine of engines) {
    const [bytes, floats] = [await compile(engine), await compile(engine)];
    try {
      for (let step = 1; step <= 4; step++) {
        const pixels = every.map((value) => value * 37 + step);
        const one = await runStep(bytes, step, step === 3 ? unitPixels(pixels) : pixels);
        const other = await runStep(floats, step, unitPixels(pixels));
        expect(one).toEqual(other);
      }
      expect(await bytes.readState()).toEqual(await floats.readState());
    } finally {
      bytes.dispose();
      floats.dispose();
    }
  }
});

// Names are sorted as text: of numbers without leading zeros three steps had other bits for each of these.
test("how many ops a program has before the step does not decide the step's bits", async () => {
  const digits = await shapePipeline('c');
  const step = trainStep(digits);
  const trained = async (before: number): Promise<string> => {
    const program = await engines[0]!.compile({
      name: 'train',
      seed: digits.seed,
      state: initialState(digits),
      inputs: stepInputs(digits),
      fn: (state, inputs, random) => {
        for (let i = 0; i < before; i++) tf.exp(inputs['learningRate']!);
        return step(state, inputs, random);
      },
    });
    for (let i = 1; i <= 3; i++) await program.run(stepFeed(digits, givenBatch(digits, i), i), i);
    const bytes = bytesOf(await program.readState());
    program.dispose();
    return createHash('sha256').update(bytes).digest('hex');
  };
  const plain = await trained(0);
  expect([await trained(37), await trained(148)]).toEqual([plain, plain]);
});
