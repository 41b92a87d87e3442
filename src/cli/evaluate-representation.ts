import { getState } from '../checkpoint/state-blobs.ts';
import type { Engine } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { measuredBlock, openBlockFeatures } from '../evaluation/block-features.ts';
import type { Measures } from '../evaluation/measure.ts';
import { measuredImages, measuredTopic } from '../evaluation/measured-images.ts';
import { type RepresentationMetric, representation, representationForMachines } from '../evaluation/representation.ts';
import { halfNames } from '../trainer/halves.ts';
import type { CommittedRun } from '../trainer/open-run.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import { fromBlobs } from '../trainer/state-blobs.ts';
import { trainLayout } from '../trainer/train-state.ts';
import { inWords } from './compare-features.ts';
import type { Console } from './console.ts';
import { runReader } from './run-reader.ts';

export interface RepresentationMeasures {
  readonly found: Readonly<Partial<Record<RepresentationMetric, number>>>;
  /** What was measured. */
  readonly of: { readonly topic: string; readonly images: number; readonly block: number; readonly time: number };
}

/**
 * Measures the features of a block as a trainer does with `evaluation.everySteps`: the same images and noise, and the weights of
 * the last commit as they are trained, not averaged, so that the numbers go on where the trainer's end.
 * @throws RepulsorError USAGE where an accuracy is asked for and an image has no label, or there are too few images
 */
export async function evaluateRepresentation(
  engine: Engine,
  run: CommittedRun,
  pipeline: Pipeline,
  metrics: readonly RepresentationMetric[],
  console: Console,
): Promise<RepresentationMeasures> {
  const { newest, store, log } = run;
  const topic = measuredTopic(pipeline);
  console.note(`features of images of topic ${topic}`);
  const { model } = await getState(store, newest.commit.blobs, { names: ['model'] });
  const chunk = await measuredImages(log, pipeline, runReader(run, pipeline, console), console.warn);
  const features = await openBlockFeatures(engine, pipeline, chunk);
  try {
    const views = await features.of(fromBlobs({ model }, halfNames('params'), trainLayout(pipeline)));
    const { labels } = chunk;
    const all = representationForMachines(representation({ ...views, labels, classes: pipeline.model.classes }));
    const found = Object.fromEntries(metrics.map((metric) => [metric, demandNumber(metric, all[metric], topic)]));
    const { time } = pipeline.evaluation;
    return { found, of: { topic, images: labels.length, block: measuredBlock(pipeline), time } };
  } finally {
    features.dispose();
  }
}

export function representationInWords(step: number, { found, of }: RepresentationMeasures): string {
  const { topic, images, block, time } = of;
  return `step ${step}, features of block ${block}, ${images} images of ${topic} noised to ${time}\n${inWords(found as Measures)}`;
}

function demandNumber(metric: RepresentationMetric, value: number | null, topic: string): number {
  if (value !== null) return value;
  throw new RepulsorError('USAGE', `${metric} needs labels, and an image of ${topic} has none`, {
    hint: 'leave it out of --metrics, or name a topic of labelled images: --set evaluation.topic=...',
  });
}
