import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import type { Log } from '../../src/log/log.ts';
import { planReplay } from '../../src/replay/plan.ts';
import { replay } from '../../src/replay/replay.ts';
import { definePipeline, type Pipeline, type PipelineInput } from '../../src/trainer/pipeline.ts';
import type { StepReport } from '../../src/trainer/report.ts';
import { keyDim } from '../../src/trainer/train-state.ts';
import { openTinyGround, type TinyGround } from './tiny-ground.ts';
import { TINY } from './tiny-run.ts';

type Repulsion = NonNullable<NonNullable<PipelineInput['losses']>['repulsion']>;

/** Every form, and every setting that makes state of its own: heads, rows of several blocks, a slow copy for positives. */
const VARIANTS: Record<string, Repulsion> = {
  'InfoNCE as MoCo has it, two blocks, other classes, young rows': {
    block: [1, 2],
    form: { kind: 'info-nce', reduction: 'per-anchor', batch: false, sameClass: false },
    view: { flip: true, shift: 2 },
    maxAge: 3,
  },
  'InfoNCE without a queue': { queue: 0, form: { kind: 'info-nce' }, view: { time: 'same' } },
  'cosines, current keys, centred': {
    form: { kind: 'cosine', sameClass: false },
    projection: { dim: 8, centre: true, pool: 'max', head: 'mlp3' },
    keyMomentum: null,
  },
  'a hinge of flattened tokens': {
    form: { kind: 'hinge', reduction: 'per-anchor', perDimension: true },
    projection: { pool: 'flatten', head: 'identity', normalize: false },
  },
  'covariances of batch and queue': { form: { kind: 'covariance' }, projection: { dim: 8, head: 'linear' } },
  'the dispersive loss': {
    queue: 0,
    form: { perDimension: true, includeSelf: true },
    projection: { pool: 'flatten', head: 'identity', normalize: false },
  },
};
const STEPS = 9;

let ground: TinyGround;
let engine: Engine;
let log: Log;

beforeAll(async () => {
  ground = await openTinyGround();
  ({ engine, log } = ground);
});
afterAll(() => ground.close());

describe.each(Object.entries(VARIANTS))('a run with %s', (name, repulsion) => {
  const run = name.replace(/\W+/g, '-');
  const pipeline = (steps: number): Pipeline => {
    const losses = { repulsion: { ...TINY.losses.repulsion, queue: 20, ramp: 4, ...repulsion } };
    return definePipeline({ ...TINY, losses, steps, commit: { everySteps: 1_000 } });
  };

  const reports: StepReport[] = [];
  async function trained(id: string, steps: number): Promise<void> {
    const observer = { onStep: (report: StepReport) => void reports.push(report) };
    await ground.train(id, pipeline(steps), { observer });
  }

  test('stopped and resumed is the run that was not, bit for bit; its replay is, too', async () => {
    await trained(`${run}-pieces`, 4);
    await trained(`${run}-pieces`, STEPS);
    await trained(`${run}-whole`, STEPS);
    const [pieces, whole] = await Promise.all(['pieces', 'whole'].map((half) => ground.committed(`${run}-${half}`)));
    const digests = (of: typeof whole) => of!.steps.map(({ digest }) => Buffer.from(digest).toString('hex'));
    expect(digests(pieces)).toEqual(digests(whole));
    expect(digests(whole)).toHaveLength(STEPS);
    expect(pieces!.newest.blobs).toEqual(whole!.newest.blobs);
    expect(pieces!.newest.negatives.digest).toEqual(whole!.newest.negatives.digest);
    expect(pieces!.queue).toEqual(whole!.queue);
    if (repulsion.queue === 0) expect(whole!.queue).toBe(null);
    else {
      expect(whole!.queue!.dim).toBe(keyDim(pipeline(STEPS)));
      // Whose rows they are is committed, and comes back from the queue's topic: digits of every class went in.
      expect(new Set(whole!.queue!.labels).size).toBeGreaterThan(3);
    }
    const store = await ground.store(`${run}-pieces`);
    const from = { log, store, run: `${run}-pieces` };
    const plan = await planReplay(from, { from: 5 });
    expect(await replay({ ...from, plan, engine, tolerance: null })).toMatchObject({
      identicalThrough: STEPS,
      diverged: null,
    });
  }, 120_000);

  test('reports its spread, and where it has a queue its shift from it, block by block', () => {
    expect(reports.length).toBeGreaterThanOrEqual(2 * STEPS);
    for (const { repulsion: shown, terms } of reports) {
      expect(shown!.blocks.map(({ block }) => block)).toEqual([repulsion.block ?? 1].flat());
      for (const block of shown!.blocks) {
        expect(block.pairDistance).toBeGreaterThan(0);
        expect(block.uniformity).toBeLessThan(0);
        expect(Object.values(block).every((v) => v === null || Number.isFinite(v))).toBe(true);
        expect(block.positiveDistance === null).toBe(repulsion.form?.kind !== 'info-nce');
      }
      const own = Object.keys(terms).filter((term) => term.startsWith('repulsion.'));
      expect(own).toEqual(shown!.blocks.length > 1 ? shown!.blocks.map(({ block }) => `repulsion.${block}`) : []);
    }
    expect(reports.some(({ repulsion: shown }) => shown!.shift > 0)).toBe(repulsion.queue !== 0);
  });
});
