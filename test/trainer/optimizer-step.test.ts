import type { Scalar, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { parameterLayout } from '../../src/model/parameters.ts';
import { norm } from '../../src/optim/clip.ts';
import { normals } from '../../src/random/philox.ts';
import { inHalves, joinHalves } from '../../src/trainer/halves.ts';
import { optimizerStep } from '../../src/trainer/optimizer-step.ts';
import { OPEN } from '../engine/engines.ts';
import { plainAdamW, plainClip, plainEma } from '../optim/plain-optim.ts';
import { tinyPipeline } from './tiny-run.ts';

/** Large enough for the native engine to compile each half's step and to update the state in place. */
const N = 18_345;
const OPTIMIZER = { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.05, clip: 20, ema: 0.97 };
const RATE = 0.01;

/** Of two of the three parameters, cut where the halves differ least. */
const LAYOUT = parameterLayout(
  [8_000, 1_345, 9_000].map((n, i) => ({ name: `p${i}`, shape: [n], init: { kind: 'zeros' } })),
);
const FIRST = 9_345;
const drawn = (name: string): Float32Array => normals(3, name, 0, N);

describe.each(Object.keys(OPEN) as (keyof typeof OPEN)[])('an optimizer step on %s', (name) => {
  it.each([
    ['with a slow copy, clipped', true, 20],
    ['without a slow copy, not clipped', false, null],
  ])('%s, is AdamW and its averages in float64, over four steps', async (_, hasSlow, clip) => {
    const engine = await OPEN[name]();
    const base = tinyPipeline({ optimizer: { ...OPTIMIZER, clip } });
    const momentum = base.losses.repulsion!.keyMomentum;
    const state = {
      ...inHalves('params', drawn('params'), LAYOUT),
      ...inHalves('adam.m', new Float32Array(N), LAYOUT),
      ...inHalves('adam.v', new Float32Array(N), LAYOUT),
      ...inHalves('ema', drawn('ema'), LAYOUT),
      ...(hasSlow && inHalves('slow', drawn('slow'), LAYOUT)),
    };
    const scalar = { shape: [], dtype: 'float32' as const };
    const program = await engine.compile({
      name: 'optimizer',
      seed: 0,
      state,
      inputs: { gradient: { shape: [N], dtype: 'float32' }, rate: scalar, step: { shape: [], dtype: 'int32' } },
      fn: (before, { gradient, rate, step }) => {
        const gradients = tf.split(gradient as Tensor1D, [FIRST, N - FIRST]) as Tensor1D[];
        const length = norm(gradients);
        const after = optimizerStep(base, before, gradients, length, rate as Scalar, step as Scalar);
        return { state: after, outputs: { length } };
      },
    });
    const zeros = new Array<number>(N).fill(0);
    let plain = { parameters: [...drawn('params')], m: zeros, v: zeros };
    let ema = [...drawn('ema')];
    let slow = hasSlow ? [...drawn('slow')] : [];
    for (let step = 1; step <= 4; step++) {
      const gradient = drawn(`gradient ${step}`);
      const inputs = { gradient, rate: Float32Array.of(RATE), step: Int32Array.of(step) };
      const { length } = await program.run(inputs, step);
      expect(length!.data[0]! / Math.hypot(...gradient)).toBeCloseTo(1, 5);
      plain = plainAdamW(plain, plainClip([...gradient], clip), RATE, step, base.optimizer);
      ema = plainEma(ema, plain.parameters, OPTIMIZER.ema);
      slow = slow.length > 0 ? plainEma(slow, plain.parameters, momentum!) : [];
    }
    const found = await program.readState();
    const expected = { params: plain.parameters, 'adam.m': plain.m, 'adam.v': plain.v, ema, ...(hasSlow && { slow }) };
    for (const [entry, values] of Object.entries(expected)) {
      const { data } = joinHalves(found, entry);
      let worst = 0;
      for (const [i, value] of values.entries()) worst = Math.max(worst, Math.abs(data[i]! - value));
      expect([entry, worst < 3e-6]).toEqual([entry, true]);
    }
    program.dispose();
    engine.dispose();
  });
});
