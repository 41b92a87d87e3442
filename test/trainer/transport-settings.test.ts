import { describe, expect, test } from 'vitest';
import { checkPipeline } from '../../src/trainer/check-pipeline.ts';
import { definePipeline } from '../../src/trainer/pipeline.ts';

const model = { input: [8, 8, 4], patch: 2, width: 8, depth: 2, heads: 2, classes: 5 } as const;
const base = definePipeline({ name: 'any', source: { topic: 'any' }, model });
const refused = (over: object) => {
  try {
    checkPipeline({ ...base, ...over }, 'it');
  } catch (error) {
    return (error as Error).message;
  }
  return null;
};

test('by default the path is linear, the network predicts velocities, and the ODE is solved as it was before there were others', () => {
  expect(base.transport).toEqual({ path: 'linear', prediction: 'velocity', weighting: 'none', trainEps: null });
  expect(base.sampling).toMatchObject({ solver: 'euler', steps: 25, guidance: 1.5, guidanceInterval: [0, 1] });
  expect(checkPipeline(base, 'it')).toEqual(base);
});

test('settings that were stored before these existed are filled in with what they then did', () => {
  const { transport: _, sampling, ...old } = base;
  const stored = { ...old, sampling: { solver: 'heun', steps: 7, guidance: 2, perLabel: 3 } } as const;
  expect(checkPipeline(definePipeline(stored), 'it')).toEqual({
    ...base,
    sampling: { ...sampling, ...stored.sampling },
  });
});

describe('what cannot be meant is refused', () => {
  test.each([
    [
      'a weighting of velocities',
      { transport: { ...base.transport, weighting: 'likelihood' } },
      /transport\.weighting/,
    ],
    ['a path that is none', { transport: { ...base.transport, path: 'cosine' } }, /transport\.path/],
    ['a prediction that is none', { transport: { ...base.transport, prediction: 'x1' } }, /transport\.prediction/],
    ['times that cross', { transport: { ...base.transport, trainEps: 0.5 } }, /transport\.trainEps/],
    ['a solver that is none', { sampling: { ...base.sampling, solver: 'rk4' } }, /sampling\.solver/],
    ['guidance outside of time', { sampling: { ...base.sampling, guidanceInterval: [0, 2] } }, /guidanceInterval/],
    ['a diffusion that is none', { sampling: { ...base.sampling, sde: { diffusion: 'odd' } } }, /sde\.diffusion/],
    ['no step but the last', { sampling: { ...base.sampling, solver: 'euler-maruyama', steps: 1 } }, /sampling\.steps/],
  ])('%s', (_what, over, path) => {
    expect(refused(over)).toMatch(path);
  });
});
