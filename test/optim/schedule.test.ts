import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { learningRateAt, queueWeightAt } from '../../src/optim/schedule.ts';

describe('the learning rate', () => {
  it('warms up linearly from the first step, stays, and falls linearly over the last share', () => {
    const settings = { learningRate: 4, warmup: 4, decayShare: 0.4 };
    const rates = Array.from({ length: 10 }, (_, i) => learningRateAt(i + 1, 10, settings));
    // Four steps up; four steps of decay, of which the first is still whole and the last a quarter.
    expect(rates).toEqual([1, 2, 3, 4, 4, 4, 4, 3, 2, 1]);
  });

  it('without an end only warms up', () => {
    const settings = { learningRate: 1, warmup: 2, decayShare: 0.5 };
    expect([1, 2, 3, 1e6].map((step) => learningRateAt(step, null, settings))).toEqual([0.5, 1, 1, 1]);
  });

  it('is constant without warm-up and decay', () => {
    const settings = { learningRate: 1e-4, warmup: 0, decayShare: 0 };
    expect([1, 50, 100].map((step) => learningRateAt(step, 100, settings))).toEqual([1e-4, 1e-4, 1e-4]);
  });

  it('is in (0, learningRate] at every step of any run, and never rises after the warm-up', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 0, max: 100 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (total, warmup, decayShare) => {
          const settings = { learningRate: 2, warmup, decayShare };
          let before = Number.POSITIVE_INFINITY;
          for (let step = 1; step <= total; step++) {
            const rate = learningRateAt(step, total, settings);
            expect(rate > 0 && rate <= 2).toBe(true);
            if (step > warmup) expect(rate).toBeLessThanOrEqual(before);
            before = step >= warmup ? rate : Number.POSITIVE_INFINITY;
          }
        },
      ),
    );
  });
});

describe("the weight of the queue's negatives", () => {
  it('is 0 for the first steps, then rises linearly to 1', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8].map((step) => queueWeightAt(step, 2, 4))).toEqual([0, 0, 0.25, 0.5, 0.75, 1, 1, 1]);
  });

  it('is whole at once without a ramp', () => {
    expect([1, 2, 3].map((step) => queueWeightAt(step, 1, 0))).toEqual([0, 1, 1]);
    expect(queueWeightAt(1, 0, 0)).toBe(1);
  });
});
