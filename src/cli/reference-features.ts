import { stat } from 'node:fs/promises';
import type { Shape } from '../codec/images.ts';
import { RepulsorError } from '../errors.ts';
import { digestImages } from '../evaluation/digest-images.ts';
import { extractFeatures } from '../evaluation/extract-features.ts';
import type { FeatureExtractor } from '../evaluation/extractor.ts';
import type { FeatureSet } from '../evaluation/feature-set.ts';
import { readFeatures } from '../evaluation/features-file.ts';
import type { ImageSet } from '../evaluation/image-set.ts';
import { openReferenceCache } from '../evaluation/reference-cache.ts';
import { sourceImages } from '../evaluation/source-images.ts';
import { topicImages } from '../evaluation/topic-images.ts';
import { imageFolder } from '../ingest/image-folder.ts';
import type { CommittedRun } from '../trainer/open-run.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import { cacheFolder } from './cache-folder.ts';
import type { Console } from './console.ts';
import { runReader } from './run-reader.ts';

export interface Reference {
  readonly run: CommittedRun;
  readonly pipeline: Pipeline;
  /** Of the images drawn. */
  readonly shape: Shape;
  /** A topic of the run's log, a folder of images, or a file of features. */
  readonly against: string;
}

/** Features of what a run is compared with, kept by the digest of its images. */
export async function referenceFeatures(
  extractor: FeatureExtractor,
  reference: Reference,
  console: Console,
): Promise<FeatureSet> {
  if (reference.against.endsWith('.safetensors')) return readFeatures(reference.against);
  const images = await referenceImages(reference, console);
  console.note(`reading ${images.name}`);
  const digest = await digestImages(images);
  const counted = (done: number) => console.note(`features of ${images.name}: ${done} images`);
  return openReferenceCache(cacheFolder()).features(digest, extractor.id, () =>
    extractFeatures(extractor, images, counted),
  );
}

/** A folder is brought to the size of the images drawn; what is no folder is a topic. */
async function referenceImages({ run, pipeline, shape, against }: Reference, console: Console): Promise<ImageSet> {
  const { model, operators, seed } = pipeline;
  const [height, width, channels] = shape;
  const isFolder = await stat(against).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder)
    return topicImages(run.log, against, {
      ...{ shape, classes: model.classes, latentScale: operators.latentScale, seed },
      read: runReader(run, pipeline, console),
      onWarning: console.warn,
    });
  if (channels !== 1 && channels !== 3)
    throw new RepulsorError('USAGE', `the model draws images of ${channels} channels, a folder holds pictures`, {
      hint: 'decode them first (--decode), or compare latents with a topic of latents',
    });
  return sourceImages(await imageFolder(against, { size: { height, width, channels } }));
}
