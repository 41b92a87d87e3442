import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import { flowMatching } from '../../src/losses/flow-matching.ts';
import { linearPath } from '../../src/transport/path.ts';

beforeAll(async () => void (await openCpuEngine()));

describe('the linear path', () => {
  const number = fc.float({ min: -4, max: 4, noNaN: true });
  const time = fc.float({ min: 0, max: 1, noNaN: true });

  it('is t x1 + (1 - t) x0 with velocity x1 - x0, each sample at its own time', () => {
    const samples = fc.array(fc.tuple(time, fc.array(fc.tuple(number, number), { minLength: 6, maxLength: 6 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(samples, (drawn) => {
        const b = drawn.length;
        const x0 = drawn.flatMap(([, pixels]) => pixels.map(([noise]) => noise));
        const x1 = drawn.flatMap(([, pixels]) => pixels.map(([, data]) => data));
        const shape = [b, 3, 1, 2] as [number, number, number, number];
        const { xt, velocity } = linearPath.plan(
          tf.tensor4d(x0, shape),
          tf.tensor4d(x1, shape),
          tf.tensor1d(drawn.map(([t]) => t)),
        );
        expect(xt.shape).toEqual(shape);
        const [got, speed] = [xt.dataSync(), velocity.dataSync()];
        x0.forEach((noise, i) => {
          const t = drawn[Math.floor(i / 6)]![0];
          expect(Math.abs(got[i]! - (t * x1[i]! + (1 - t) * noise))).toBeLessThan(2e-6);
          expect(speed[i]).toBe(Math.fround(x1[i]! - noise));
        });
      }),
      { numRuns: 50 },
    );
  });

  it('begins at the noise, exactly, and its velocity is its slope', () => {
    const x0 = tf.tensor4d([1, -2, 0.5, 3], [1, 2, 2, 1]);
    const x1 = tf.tensor4d([0, 4, -1.5, 3], [1, 2, 2, 1]);
    const at = (t: number) => linearPath.plan(x0, x1, tf.tensor1d([t]));
    expect([...at(0).xt.dataSync()]).toEqual([1, -2, 0.5, 3]);
    expect([...at(1).xt.dataSync()]).toEqual([0, 4, -1.5, 3]);
    const risen = tf.sub(at(0.75).xt, at(0.25).xt);
    expect([...tf.div(risen, 0.5).dataSync()]).toEqual([...at(0.5).velocity.dataSync()]);
  });
});

describe('the flow matching loss', () => {
  it('is the mean over all elements of (v - u)^2', () => {
    const loss = flowMatching(tf.tensor4d([1, 2, 3, 4], [2, 2, 1, 1]), tf.tensor4d([1, 0, 0, 8], [2, 2, 1, 1]));
    expect(loss.arraySync()).toBe((0 + 4 + 9 + 16) / 4);
  });
});
