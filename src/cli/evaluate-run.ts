import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { getState } from '../checkpoint/state-blobs.ts';
import type { Shape } from '../codec/images.ts';
import { openEngine } from '../engine/choose.ts';
import type { EngineWish } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { DIGITS_CLASSIFIER, openClassifier } from '../evaluation/classifier-extractor.ts';
import { decodedImages } from '../evaluation/decoded-images.ts';
import { digestImages } from '../evaluation/digest-images.ts';
import { extractFeatures } from '../evaluation/extract-features.ts';
import type { FeatureExtractor } from '../evaluation/extractor.ts';
import type { FeatureSet } from '../evaluation/feature-set.ts';
import { readFeatures, writeFeatures } from '../evaluation/features-file.ts';
import type { ImageSet } from '../evaluation/image-set.ts';
import { openOnnxExtractor } from '../evaluation/onnx-extractor.ts';
import { openReferenceCache } from '../evaluation/reference-cache.ts';
import { runImages } from '../evaluation/run-images.ts';
import { sourceImages } from '../evaluation/source-images.ts';
import { topicImages } from '../evaluation/topic-images.ts';
import { imageFolder } from '../ingest/image-folder.ts';
import { sizeOf } from '../model/parameters.ts';
import { writeGrid } from '../sampling/grid.ts';
import { checkPipeline } from '../trainer/check-pipeline.ts';
import { type CommittedRun, openRun } from '../trainer/open-run.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import { flatten } from '../trainer/state-blobs.ts';
import { trainLayout } from '../trainer/train-state.ts';
import { cacheFolder } from './cache-folder.ts';
import { inWords, measureSets } from './compare-features.ts';
import type { Console } from './console.ts';
import { openDecoding } from './decoding.ts';
import type { EvaluateOptions } from './evaluate.ts';
import { withOverrides } from './load-pipeline.ts';

/** Of each class in the picture. */
const SHOWN = 10;
/** Classes in the picture. */
const ROWS = 20;

/**
 * What `repulsor evaluate RUN` does: draws from the averaged weights, makes features, measures them against the reference's: what
 * was asked for, or the topic by which the run is measured.
 */
export async function evaluateRun(
  folder: string,
  asked: string | null,
  options: EvaluateOptions & { readonly engine: EngineWish },
  console: Console,
): Promise<void> {
  const run = await openRun(folder, options.log);
  try {
    const pipeline = checkPipeline(withOverrides(run.pipeline, options.overrides), 'what was asked for');
    const against = asked ?? pipeline.evaluation.topic;
    if (against === null)
      throw new RepulsorError('USAGE', `${folder} names no topic that it is measured by (evaluation.topic)`, {
        hint: 'name what to compare with: --against TOPIC, FOLDER or FEATURES.safetensors, best what it was not trained on',
      });
    const { classes } = pipeline.model;
    const labels = options.labels ?? Array.from({ length: classes }, (_, label) => label);
    const unknown = labels.find((label) => label >= classes);
    if (unknown !== undefined)
      throw new RepulsorError('USAGE', `there is no class ${unknown}: the model knows 0 to ${classes - 1}`, {
        hint: `for example: --labels 0-${classes - 1}`,
      });
    const decoding =
      options.decode === undefined ? null : await openDecoding(options.decode, run.newest.commit, null, console.warn);
    const shape = (await decoding?.imageShape(pipeline)) ?? pipeline.model.input;
    const { engine, message, fellBack } = await openEngine({ name: options.engine });
    (fellBack ? console.warn : console.note)(message);
    try {
      const extractor = await openExtractor();
      try {
        const reference = await referenceFeatures(extractor, against);
        const { step, blobs } = run.newest.commit;
        const { ema } = await getState(run.store, blobs, { names: ['ema'] });
        const weights = flatten(ema, '', trainLayout(pipeline), 'the blob ema');
        const picture = gridOf(shape);
        const drawn = runImages(engine, pipeline, weights, {
          samples: options.samples,
          labels,
          seed: options.seed,
          onProgress: tenths(console, 'drawing'),
        });
        const images =
          decoding === null ? drawn : decodedImages(drawn, shape, (samples) => decoding.decode(samples, pipeline));
        const generated = await extractFeatures(extractor, picture.watch(images));
        const grid = await picture.write(options.grid ?? join(folder, `evaluation-${step}.png`));
        const { solver, steps, guidance } = pipeline.sampling;
        const how = { solver, steps, guidance, seed: options.seed, extractor: extractor.name };
        if (options.saveFeatures !== undefined) {
          const about = { run: run.folder.run, step, ...how };
          const texts = Object.entries(about).map(([name, value]) => [name, String(value)]);
          await writeFeatures(options.saveFeatures, generated, Object.fromEntries(texts));
        }
        const measures = await measureSets(engine, generated, reference, options, console);
        const counts = { samples: options.samples, reference_images: reference.labels.length };
        console.result(
          {
            ...{ run: run.folder.run, step, reference: against, ...counts, ...how, extractor_id: extractor.id },
            ...{ engine: engine.name, grid, features: options.saveFeatures ?? null },
            ...measures,
          },
          `step ${step}, ${counts.samples} samples against ${against} (${counts.reference_images})` +
            `${grid === null ? '' : `; a picture of them: ${grid}`}\n${inWords(measures)}`,
        );
      } finally {
        extractor.dispose();
      }

      function openExtractor(): Promise<FeatureExtractor> {
        const { extractor: name, onnxSize, onnxRange, onnxFeatures, onnxLogits } = options;
        if (!name.endsWith('.onnx')) return openClassifier(engine, name === 'digits' ? DIGITS_CLASSIFIER : name);
        return openOnnxExtractor(name, {
          size: onnxSize ?? null,
          range: onnxRange,
          features: onnxFeatures ?? null,
          logits: onnxLogits ?? null,
        });
      }
    } finally {
      engine.dispose();
      await decoding?.close();
    }

    async function referenceFeatures(extractor: FeatureExtractor, against: string): Promise<FeatureSet> {
      if (against.endsWith('.safetensors')) return readFeatures(against);
      const images = await referenceImages(run, pipeline, shape, against, console);
      console.note(`reading ${images.name}`);
      const digest = await digestImages(images);
      const counted = (done: number) => console.note(`features of ${images.name}: ${done} images`);
      return openReferenceCache(cacheFolder()).features(digest, extractor.id, () =>
        extractFeatures(extractor, images, counted),
      );
    }
  } finally {
    await run.log.close();
  }
}

/** A folder is brought to the size of the images drawn; what is no folder is a topic. */
async function referenceImages(
  { log }: CommittedRun,
  { model, operators, seed }: Pipeline,
  shape: Shape,
  against: string,
  console: Console,
): Promise<ImageSet> {
  const [height, width, channels] = shape;
  const isFolder = await stat(against).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder)
    return topicImages(log, against, {
      ...{ shape, classes: model.classes, latentScale: operators.latentScale, seed },
      onWarning: console.warn,
    });
  if (channels !== 1 && channels !== 3)
    throw new RepulsorError('USAGE', `the model draws images of ${channels} channels, a folder holds pictures`, {
      hint: 'decode them first (--decode), or compare latents with a topic of latents',
    });
  return sourceImages(await imageFolder(against, { size: { height, width, channels } }));
}

/** Keeps some of each class while they pass, for a picture of them. */
function gridOf(shape: Shape) {
  const kept = new Map<number, Float32Array[]>();
  const size = sizeOf(shape);
  return {
    watch: (set: ImageSet): ImageSet => ({
      ...set,
      async *chunks() {
        for await (const chunk of set.chunks()) {
          for (const [i, label] of chunk.labels.entries()) {
            if (!kept.has(label) && kept.size === ROWS) continue;
            const row = kept.get(label) ?? [];
            kept.set(label, row);
            if (row.length < SHOWN) row.push(chunk.images.slice(i * size, (i + 1) * size));
          }
          yield chunk;
        }
      },
    }),
    /** Null for what is no picture. */
    async write(out: string): Promise<string | null> {
      if (![1, 3].includes(shape[2])) return null;
      const rows = [...kept].sort(([a], [b]) => a - b).map(([, images]) => images);
      const columns = Math.max(...rows.map((row) => row.length));
      const all = new Float32Array(rows.length * columns * size).fill(1);
      for (const [y, row] of rows.entries())
        for (const [x, image] of row.entries()) all.set(image, (y * columns + x) * size);
      await writeGrid(out, all, { shape, columns });
      return out;
    },
  };
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
