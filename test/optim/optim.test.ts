import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine, openWasmEngine } from '../../src/engine/eager/eager-engine.ts';
import { type AdamWSettings, adamwInit, adamwUpdate } from '../../src/optim/adamw.ts';
import { clipByNorm, norm } from '../../src/optim/clip.ts';
import { emaUpdate } from '../../src/optim/ema.ts';
import { normals } from '../../src/random/philox.ts';
import { type PlainAdamW, plainAdamW, plainClip, plainEma } from './plain-optim.ts';

const settings: AdamWSettings = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };

function update(
  state: PlainAdamW,
  gradient: readonly number[],
  rate: number,
  step: number,
  choice: AdamWSettings,
): PlainAdamW {
  return tf.tidy(() => {
    const next = adamwUpdate(
      tf.tensor1d([...gradient]),
      { m: tf.tensor1d(state.m), v: tf.tensor1d(state.v) },
      tf.tensor1d(state.parameters),
      tf.scalar(rate),
      tf.scalar(step),
      choice,
    );
    return {
      parameters: [...next.parameters.dataSync()],
      m: [...next.state.m.dataSync()],
      v: [...next.state.v.dataSync()],
    };
  });
}

function start(parameters: number[]): PlainAdamW {
  const { m, v } = adamwInit(parameters.length);
  return { parameters, m: [...m], v: [...v] };
}

describe.each([
  { name: 'cpu', open: openCpuEngine },
  { name: 'wasm', open: openWasmEngine },
])('on $name', ({ open }) => {
  beforeAll(async () => void (await open()));

  describe('AdamW', () => {
    it.each([
      { ...settings },
      { ...settings, weightDecay: 0.1 },
      { ...settings, beta2: 0.99 },
      { ...settings, beta1: 0.5, epsilon: 1e-3 },
    ])('follows the float64 trajectory over 10 steps (%j)', (choice) => {
      const parameters = [...normals(1, 'parameters', 0, 12)];
      let got = start(parameters);
      let plain = start(parameters);
      for (let step = 1; step <= 10; step++) {
        const gradient = [...normals(1, 'gradient', step, 12)].map((g, i) => g * 10 ** (i - 8));
        const rate = 0.01 * step;
        got = update(got, gradient, rate, step, choice);
        plain = plainAdamW(plain, gradient, rate, step, choice);
        for (let i = 0; i < 12; i++) {
          // At epsilon's size of gradient, rounding of the gradient is what is left of it.
          expect(Math.abs(got.parameters[i]! - plain.parameters[i]!)).toBeLessThan(5e-6);
          expect(Math.abs(got.m[i]! / plain.m[i]! - 1)).toBeLessThan(1e-4);
          expect(Math.abs(got.v[i]! / plain.v[i]! - 1)).toBeLessThan(1e-5);
        }
      }
    });

    it('moves every parameter by the learning rate at the first step, whatever the size of its gradient', () => {
      const gradient = [1e-4, -3, 1e3, -1e-2];
      const { parameters } = update(start([0, 0, 0, 0]), gradient, 0.01, 1, settings);
      parameters.forEach((moved, i) => {
        const expected = -0.01 * (gradient[i]! / (Math.abs(gradient[i]!) + 1e-8));
        expect(Math.abs(moved / expected - 1)).toBeLessThan(2e-6);
      });
    });

    it('corrects the bias to float32 precision: 1 - 0.999 in float32 would be off by 5e-5', () => {
      // A constant gradient g has m / correction1 = g and sqrt(v / correction2) = g: each step is the rate, to 1e-6.
      let state = start([0]);
      for (let step = 1; step <= 5; step++) {
        const before = state.parameters[0]!;
        state = update({ ...state, parameters: [0] }, [0.7], 1, step, settings);
        expect(Math.abs(state.parameters[0]! + 1)).toBeLessThan(1.5e-6);
        state.parameters = [before];
      }
      const naive = Math.abs((1 - Math.fround(0.999)) / 0.001 - 1);
      expect(naive).toBeGreaterThan(1e-5);
    });

    it('needs no correction after very many steps', () => {
      const state = { parameters: [0], m: [0.5], v: [0.25] };
      expect(Math.abs(update(state, [0.5], 1, 5_000_000, settings).parameters[0]! + 1)).toBeLessThan(1e-6);
    });

    it('decays the weights by rate times decay', () => {
      const { parameters } = update(start([2, -4]), [0, 0], 0.01, 1, { ...settings, weightDecay: 0.1 });
      expect(parameters[0]).toBeCloseTo(2 - 0.01 * 0.1 * 2, 6);
      expect(parameters[1]).toBeCloseTo(-4 + 0.01 * 0.1 * 4, 6);
    });

    it('decays them rightly on the whole where the factor 1 - 1e-7 is off by a fifth in float32', () => {
      expect(Math.abs((1 - Math.fround(1 - 1e-7)) / 1e-7 - 1)).toBeGreaterThan(0.19);
      const many = Array.from({ length: 2000 }, (_, i) => Math.fround(1 + i / 2000));
      const { parameters } = update(start(many), Array<number>(2000).fill(0), 1e-4, 1, {
        ...settings,
        weightDecay: 1e-3,
      });
      const lost = many.reduce((sum, v, i) => sum + v - parameters[i]!, 0);
      const expected = many.reduce((sum, v) => sum + v * 1e-7, 0);
      expect(Math.abs(lost / expected - 1)).toBeLessThan(0.08);
    });

    it('leaves a parameter without a gradient where it is', () => {
      expect(update(start([0.3, -7]), [0, 0], 0.1, 1, settings).parameters).toEqual([Math.fround(0.3), -7]);
    });
  });

  describe('clipping', () => {
    const gradient = [3, -4, 12]; // norm 13
    it.each([null, 1, 12.9, 13, 20])('to %s scales down to that norm, and never up', (limit) => {
      const vector = tf.tensor1d(gradient);
      const got = clipByNorm(vector, norm([vector]), limit);
      const plain = plainClip(gradient, limit);
      got.dataSync().forEach((g, i) => void expect(g).toBeCloseTo(plain[i]!, 5));
      expect(norm([vector]).dataSync()[0]).toBeCloseTo(13, 5);
      if (limit !== null) expect(norm([got]).dataSync()[0]).toBeLessThanOrEqual(limit * (1 + 1e-6));
    });

    it('of a zero gradient is zero', () => {
      const zero = tf.zeros([3]) as tf.Tensor1D;
      expect([...clipByNorm(zero, norm([zero]), 1).dataSync()]).toEqual([0, 0, 0]);
    });
  });

  describe('the moving average', () => {
    it('is decay times itself plus the rest of the value, over 10 steps', () => {
      let got = [...normals(2, 'average', 0, 6)];
      let plain = [...got];
      for (let step = 1; step <= 10; step++) {
        const value = [...normals(2, 'value', step, 6)];
        got = [...emaUpdate(tf.tensor1d(got), tf.tensor1d(value), 0.95).dataSync()];
        plain = plainEma(plain, value, 0.95);
        got.forEach((v, i) => void expect(Math.abs(v - plain[i]!)).toBeLessThan(1e-6));
      }
    });

    it('stays exactly where it is when the value does, and takes the value at decay 0', () => {
      const value = tf.tensor1d([0.1, -1e6, 3e-9]);
      expect([...emaUpdate(value, value, 0.9999).dataSync()]).toEqual([...value.dataSync()]);
      expect(emaUpdate(tf.tensor1d([5]), tf.tensor1d([2]), 0).dataSync()[0]).toBe(2);
    });

    it('keeps the small steps of a long decay: 0.9999 moves by 1e-4 of the way', () => {
      const moved = emaUpdate(tf.tensor1d([0]), tf.tensor1d([1]), 0.9999).dataSync()[0]!;
      expect(Math.abs(moved / 1e-4 - 1)).toBeLessThan(1e-6);
    });
  });
});
