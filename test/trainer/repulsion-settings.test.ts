import { describe, expect, test } from 'vitest';
import { checkPipeline } from '../../src/trainer/check-pipeline.ts';
import { definePipeline, type PipelineInput } from '../../src/trainer/pipeline.ts';

type Repulsion = NonNullable<NonNullable<PipelineInput['losses']>['repulsion']>;

const model = { input: [8, 8, 4], patch: 2, width: 8, depth: 8, heads: 2, classes: 5 } as const;
const of = (repulsion: object) =>
  definePipeline({ name: 'any', source: { topic: 'any' }, model, losses: { repulsion: repulsion as Repulsion } });
const checked = (repulsion: object) => checkPipeline(of(repulsion), 'it').losses.repulsion!;

test('a repulsion that was stored before there were others is what it was', () => {
  const old = {
    lambda: 0.05,
    block: 2,
    projection: { pool: 'mean', head: 'mlp', dim: 128, centre: false, normalize: true },
    form: { tau: 0.5, reduction: 'global', perDimension: false, includeSelf: false },
    queue: 4_096,
    start: 0,
    ramp: 500,
    keyMomentum: 0.999,
  };
  const now = checked(old);
  expect(now).toMatchObject(old);
  expect(now).toMatchObject({
    form: { kind: 'l2', batch: true, sameClass: true },
    view: { time: 'own', flip: false, shift: 0 },
    maxAge: null,
  });
});

test('several blocks are stored sorted, one as a number', () => {
  expect(checked({ block: [7, 2] }).block).toEqual([2, 7]);
  expect(checked({ block: [3] }).block).toBe(3);
  expect(checked({}).block).toBe(2);
});

describe('goes together:', () => {
  test.each([
    {
      form: { kind: 'info-nce', batch: false, sameClass: false, reduction: 'per-anchor' },
      maxAge: 9,
      view: { shift: 7 },
    },
    { form: { kind: 'info-nce' }, queue: 0, keyMomentum: null },
    { form: { kind: 'covariance', perDimension: true }, queue: 0 },
    { form: { kind: 'hinge', perDimension: true, includeSelf: true, reduction: 'per-anchor' } },
    {
      form: { kind: 'cosine', includeSelf: true },
      projection: { normalize: false, head: 'identity', pool: 'flatten' },
    },
  ])('%j', (repulsion) => {
    expect(checked(repulsion)).toMatchObject(repulsion);
  });
});

describe('does not go together, and is refused by name:', () => {
  test.each([
    [{ block: 9 }, 'losses.repulsion.block: 9 is more than the depth of 8'],
    [{ block: [1, 9, 10] }, 'losses.repulsion.block: 9, 10 is more'],
    [{ block: [2, 2] }, 'losses.repulsion.block: names a block twice'],
    [{ block: [] }, 'losses.repulsion.block: names no block'],
    [{ queue: 0, form: { batch: false } }, 'losses.repulsion.form.batch: without a queue'],
    [{ queue: 0, form: { batch: false, kind: 'info-nce' } }, 'losses.repulsion.form.batch: without a queue'],
    [{ queue: 0, maxAge: 5 }, 'losses.repulsion.maxAge: only rows of a queue have an age'],
    [{ maxAge: 0 }, 'losses.repulsion.maxAge'],
    [{ form: { kind: 'cosine', perDimension: true } }, 'losses.repulsion.form.perDimension: cosine takes cosines'],
    [{ form: { kind: 'info-nce', perDimension: true } }, 'losses.repulsion.form.perDimension: info-nce'],
    [{ form: { kind: 'info-nce', includeSelf: true } }, 'losses.repulsion.form.includeSelf: info-nce has a positive'],
    [
      { form: { includeSelf: true, sameClass: false } },
      'losses.repulsion.form.includeSelf: a sample is of its own class',
    ],
    [
      { form: { includeSelf: true, batch: false } },
      'losses.repulsion.form.includeSelf: a pair of a sample with itself',
    ],
    [{ form: { kind: 'covariance', reduction: 'per-anchor' } }, 'losses.repulsion.form.reduction: covariance has no'],
    [{ form: { kind: 'covariance', sameClass: false } }, 'losses.repulsion.form.sameClass: covariance has no pairs'],
    [{ form: { kind: 'covariance', batch: false } }, 'losses.repulsion.form.batch: covariance has no pairs'],
    [{ form: { kind: 'covariance', includeSelf: true } }, 'losses.repulsion.form.includeSelf: covariance has no pairs'],
    [{ view: { flip: true } }, 'losses.repulsion.view: only info-nce has a second view, not l2'],
    [{ form: { kind: 'info-nce' }, view: { shift: 8 } }, 'losses.repulsion.view.shift: 8 pixels'],
    [{ form: { kind: 'triplet' } }, 'losses.repulsion.form.kind'],
    [{ projection: { pool: 'median' } }, 'losses.repulsion.projection.pool'],
    [{ form: { margin: 0 } }, 'losses.repulsion.form.margin'],
    [{ keyMomentum: 1 }, 'losses.repulsion.keyMomentum'],
  ])('%j', (repulsion, message) => {
    expect(() => checked(repulsion)).toThrow(message);
  });
});
