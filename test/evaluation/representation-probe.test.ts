import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { getState } from '../../src/checkpoint/state-blobs.ts';
import { openConsole } from '../../src/cli/console.ts';
import { evaluateRepresentation } from '../../src/cli/evaluate-representation.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { measuredBlock, openBlockFeatures } from '../../src/evaluation/block-features.ts';
import {
  REPRESENTATION_METRICS,
  type RepresentationMetric,
  representation,
  representationForMachines,
} from '../../src/evaluation/representation.ts';
import { openProbe } from '../../src/evaluation/representation-probe.ts';
import { topicImages } from '../../src/evaluation/topic-images.ts';
import type { Log } from '../../src/log/log.ts';
import { initialParameters, unpack } from '../../src/model/parameters.ts';
import { sitFeatures } from '../../src/model/sit.ts';
import { norm } from '../../src/optim/clip.ts';
import { normals } from '../../src/random/philox.ts';
import { halfNames, halvesIn, inHalves } from '../../src/trainer/halves.ts';
import type { CommittedRun } from '../../src/trainer/open-run.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import type { EvaluationReport } from '../../src/trainer/report.ts';
import { fromBlobs } from '../../src/trainer/state-blobs.ts';
import { trainLayout } from '../../src/trainer/train-state.ts';
import { difference, float, int, runOnce } from '../engine/engines.ts';
import { openTinyGround, type TinyGround } from '../trainer/tiny-ground.ts';
import { expectSame, fillTopic, imageRecord, TINY, TOPIC, tinyPipeline } from '../trainer/tiny-run.ts';

let ground: TinyGround;
let engine: Engine;
let log: Log;
beforeAll(async () => {
  ground = await openTinyGround();
  ({ engine, log } = ground);
});
afterAll(() => ground.close());

const EVERY = { everySteps: 10, images: 70 };

async function trained(run: string, pipeline: Pipeline) {
  const reports: EvaluationReport[] = [];
  const warnings: string[] = [];
  const probe = openProbe({
    ...{ pipeline, log, engine },
    onReport: (report) => reports.push(report),
    onWarning: (line) => warnings.push(line),
  });
  const result = await ground.train(run, pipeline, probe === null ? {} : { probe });
  return { result, reports, warnings, store: await ground.store(run), committed: await ground.committed(run) };
}

/** What evaluateRepresentation looks at of an opened run. */
function committedRun(of: Awaited<ReturnType<typeof trained>>): CommittedRun {
  const folder = { folder: 'none' };
  return { ...of, folder, newest: { commit: of.committed.newest }, log } as unknown as CommittedRun;
}

test('a run that is measured is, bit for bit, the run that is not; and what is told is of the weights of that step', async () => {
  const plain = await trained('plain', tinyPipeline({ steps: 20 }));
  expect(plain.reports).toEqual([]);
  const pipeline = tinyPipeline({ steps: 20, evaluation: EVERY });
  const measured = await trained('measured', pipeline);
  expectSame(measured.committed, plain.committed);
  expect(measured.warnings).toEqual([]);

  // One at a time: of the two that fall due the second may be left out, never the first.
  expect(measured.reports[0]).toMatchObject({ step: 10, images: 70 });
  // The run that ends there has the same weights, and a commit of them.
  const ten = await trained('ten', tinyPipeline({ steps: 10 }));
  const { model } = await getState(ten.store, ten.committed.newest.blobs, { names: ['model'] });
  const settings = { shape: [28, 28, 1], classes: 10, latentScale: 1, seed: 0, limit: 70 } as const;
  const chunks = [];
  for await (const chunk of (await topicImages(log, TOPIC, settings)).chunks()) chunks.push(chunk);
  const features = await openBlockFeatures(engine, pipeline, chunks[0]!);
  const views = await features.of(fromBlobs({ model }, halfNames('params'), trainLayout(pipeline)));
  features.dispose();
  const { step: _step, seconds, images: _images, ...told } = measured.reports[0]!;
  expect(told).toEqual(representation({ ...views, labels: chunks[0]!.labels, classes: 10 }));
  expect(seconds).toBeGreaterThan(0);

  // And `repulsor evaluate` says the same of that commit.
  const run = committedRun(ten);
  const { found, of } = await evaluateRepresentation(engine, run, pipeline, REPRESENTATION_METRICS, openConsole(true));
  expect(found).toEqual(representationForMachines(told));
  expect(of).toEqual({ topic: TOPIC, images: 70, block: 1, time: 0.9 });
});

test('an accuracy of images without labels is refused by its name; what needs none is measured', async () => {
  await log.createTopic('unlabelled');
  const images = Array.from({ length: 8 }, (_, i) => new Uint8Array(784).fill(30 * i));
  await log.append('unlabelled', [{ partition: 0, value: imageRecord({ images, labels: null }) }]);
  const pipeline = tinyPipeline({ steps: 3, evaluation: { topic: 'unlabelled' } });
  const three = await trained('three', pipeline);
  const run = committedRun(three);
  const ask = (...metrics: RepresentationMetric[]) =>
    evaluateRepresentation(engine, run, pipeline, metrics, openConsole(true));
  await expect(ask('uniformity', 'linear_probe')).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('linear_probe needs labels'),
  });
  expect((await ask('uniformity', 'effective_rank')).found).toEqual({
    uniformity: expect.any(Number),
    effective_rank: expect.any(Number),
  });
});

test('what cannot be measured is told, and the training goes on', async () => {
  const { result, reports, warnings } = await trained(
    'without-topic',
    tinyPipeline({ steps: 12, evaluation: { ...EVERY, topic: 'nowhere' } }),
  );
  expect(result).toMatchObject({ ended: 'steps', step: 12 });
  expect(reports).toEqual([]);
  expect(warnings).toEqual([expect.stringMatching(/^step 10 was not evaluated: .*nowhere/)]);
});

test('a topic that comes later is measured from then on', async () => {
  const pipeline = tinyPipeline({ evaluation: { everySteps: 10, images: 20, topic: 'later' } });
  const told: (number | string)[] = [];
  const probe = openProbe({
    ...{ pipeline, log, engine },
    onReport: ({ step }) => told.push(step),
    onWarning: (line) => told.push(line),
  })!;
  const layout = trainLayout(pipeline);
  const program = await engine.compile({
    name: 'weights',
    seed: 0,
    state: inHalves('params', normals(0, 'weights', 0, layout.size), layout),
    inputs: {},
    fn: (state) => ({ outputs: { sum: norm(halvesIn(state, 'params')) } }),
  });
  probe.afterStep(10, program);
  await expect.poll(() => told, { timeout: 30_000 }).toEqual([expect.stringMatching(/^step 10 was not .*later/)]);
  await fillTopic(log, 'later', 20);
  probe.afterStep(15, program);
  probe.afterStep(20, program);
  await probe.close();
  expect(told.slice(1)).toEqual([20]);
  program.dispose();
});

test('features are the mean over the tokens of the block, of images noised to the set time', async () => {
  const pipeline = tinyPipeline({ evaluation: { ...EVERY, block: 2, time: 0.75 } });
  expect(measuredBlock(pipeline)).toBe(2);
  expect(measuredBlock(tinyPipeline())).toBe(1);
  const layout = trainLayout(pipeline);
  const drawn = normals(4, 'weights', 0, layout.size);
  const params = float(
    [layout.size],
    initialParameters(layout, 1).map((value, i) => value + 0.1 * drawn[i]!),
  );
  const images = normals(5, 'images', 0, 3 * 784);
  const features = await openBlockFeatures(engine, pipeline, { images, labels: new Int32Array(3) });
  const { first, second } = await features.of(inHalves('params', params.data as Float32Array, layout));
  features.dispose();
  expect(first.shape).toEqual([3, TINY.model.width]);

  // The first three of 64 images, and of the second view the three that follow these 64.
  const noise = normals(pipeline.seed, 'evaluation', 0, 128 * 784);
  for (const [view, from] of [
    [first, 0],
    [second, 64],
  ] as const) {
    const xt = images.map((value, i) => 0.75 * value + 0.25 * noise[from * 784 + i]!);
    const inputs = {
      params,
      x: float([3, 28, 28, 1], xt),
      t: float([3], [0.75, 0.75, 0.75]),
      none: int([3], [10, 10, 10]),
    };
    const { mean } = await runOnce(engine, inputs, ({ params: flat, x, t, none }) => {
      const parameters = unpack(flat as tf.Tensor1D, layout);
      const input = { x: x!, t: t as tf.Tensor1D, labels: none as tf.Tensor1D };
      return { mean: tf.mean(sitFeatures(parameters, pipeline.model, input, [2])[0]!, 1) };
    });
    expect(difference(mean!, float([3, TINY.model.width], view.data))).toBeLessThan(1e-5);
  }
});

test('without labels there is no accuracy; the rest is told', () => {
  const view = { shape: [6, 3] as const, data: normals(0, 'view', 0, 18) };
  const found = representation({ first: view, second: view, labels: new Int32Array(6).fill(-1), classes: 2 });
  expect(found).toMatchObject({ alignment: 0, knnAccuracy: null, linearProbe: null });
  expect(found.effectiveRank).toBeGreaterThan(1);
});
