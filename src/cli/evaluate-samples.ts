import { join } from 'node:path';
import { getState } from '../checkpoint/state-blobs.ts';
import type { Engine } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { DIGITS_CLASSIFIER, openClassifier } from '../evaluation/classifier-extractor.ts';
import { decodedImages } from '../evaluation/decoded-images.ts';
import { extractFeatures } from '../evaluation/extract-features.ts';
import type { FeatureExtractor } from '../evaluation/extractor.ts';
import { writeFeatures } from '../evaluation/features-file.ts';
import { openOnnxExtractor } from '../evaluation/onnx-extractor.ts';
import { runImages } from '../evaluation/run-images.ts';
import type { CommittedRun } from '../trainer/open-run.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import { flatten } from '../trainer/state-blobs.ts';
import { trainLayout } from '../trainer/train-state.ts';
import { inWords, measureSets } from './compare-features.ts';
import type { Console } from './console.ts';
import { type Decoding, openDecoding } from './decoding.ts';
import type { EvaluateOptions } from './evaluate.ts';
import { evaluationPicture } from './evaluation-picture.ts';
import { referenceFeatures } from './reference-features.ts';

export interface SamplesPlan {
  readonly run: CommittedRun;
  readonly pipeline: Pipeline;
  readonly options: EvaluateOptions;
  readonly labels: readonly number[];
  readonly against: string;
  /** Null where samples are images as they are drawn. */
  readonly decoding: Decoding | null;
}

/** What `plan` needs is opened; what the flags ask for that cannot be is refused. @throws RepulsorError USAGE */
export async function planSamples(
  run: CommittedRun,
  pipeline: Pipeline,
  asked: string | null,
  options: EvaluateOptions,
  console: Console,
): Promise<SamplesPlan> {
  const against = asked ?? pipeline.evaluation.topic;
  if (against === null)
    throw new RepulsorError('USAGE', `${run.folder.folder} names no topic that it is measured by (evaluation.topic)`, {
      hint: 'name what to compare with: --against TOPIC, FOLDER or FEATURES.safetensors, best what it was not trained on',
    });
  const { classes } = pipeline.model;
  const labels = options.labels ?? Array.from({ length: classes }, (_, label) => label);
  const unknown = labels.find((label) => label >= classes);
  if (unknown !== undefined)
    throw new RepulsorError('USAGE', `there is no class ${unknown}: the model knows 0 to ${classes - 1}`, {
      hint: `for example: --labels 0-${classes - 1}`,
    });
  const { decode } = options;
  const decoding = decode === undefined ? null : await openDecoding(decode, run.newest.commit, null, console.warn);
  return { run, pipeline, options, labels, against, decoding };
}

/** Draws from the averaged weights, makes features, and measures them against the reference's. As a result, and in words. */
export async function evaluateSamples(engine: Engine, plan: SamplesPlan, console: Console) {
  const { run, pipeline, options, labels, against, decoding } = plan;
  const shape = (await decoding?.imageShape(pipeline)) ?? pipeline.model.input;
  const extractor = await openExtractor(engine, options);
  try {
    const reference = await referenceFeatures(extractor, { run, pipeline, shape, against }, console);
    const { step, blobs } = run.newest.commit;
    const { ema } = await getState(run.store, blobs, { names: ['ema'] });
    const weights = flatten(ema, '', trainLayout(pipeline), 'the blob ema');
    const picture = evaluationPicture(shape);
    const drawn = runImages(engine, pipeline, weights, {
      samples: options.samples,
      labels,
      seed: options.seed,
      onProgress: tenths(console, 'drawing'),
    });
    const images =
      decoding === null ? drawn : decodedImages(drawn, shape, (samples) => decoding.decode(samples, pipeline));
    const generated = await extractFeatures(extractor, picture.watch(images));
    const grid = await picture.write(options.grid ?? join(run.folder.folder, `evaluation-${step}.png`));
    const { solver, steps, guidance } = pipeline.sampling;
    const how = { solver, steps, guidance, seed: options.seed, extractor: extractor.name };
    if (options.saveFeatures !== undefined) {
      const about = { run: run.folder.run, step, ...how };
      const texts = Object.entries(about).map(([name, value]) => [name, String(value)]);
      await writeFeatures(options.saveFeatures, generated, Object.fromEntries(texts));
    }
    const measures = await measureSets(engine, generated, reference, options, console);
    const counts = { samples: options.samples, reference_images: reference.labels.length };
    const about = { reference: against, ...counts, ...how, extractor_id: extractor.id };
    return {
      result: { ...about, grid, features: options.saveFeatures ?? null, ...measures },
      text:
        `step ${step}, ${counts.samples} samples against ${against} (${counts.reference_images})` +
        `${grid === null ? '' : `; a picture of them: ${grid}`}\n${inWords(measures)}`,
    };
  } finally {
    extractor.dispose();
  }
}

function openExtractor(engine: Engine, options: EvaluateOptions): Promise<FeatureExtractor> {
  const { extractor: name, onnxSize, onnxRange, onnxFeatures, onnxLogits } = options;
  if (!name.endsWith('.onnx')) return openClassifier(engine, name === 'digits' ? DIGITS_CLASSIFIER : name);
  return openOnnxExtractor(name, {
    size: onnxSize ?? null,
    range: onnxRange,
    features: onnxFeatures ?? null,
    logits: onnxLogits ?? null,
  });
}

/** Tells each tenth of the work once. */
function tenths(console: Console, what: string): (done: number) => void {
  let told = 0;
  return (done) => {
    if (Math.floor(10 * done) === told) return;
    told = Math.floor(10 * done);
    console.note(`${what}: ${10 * told}%`);
  };
}
