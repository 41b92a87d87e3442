import { readFile } from 'node:fs/promises';
import { decodeSafetensors, toHostTensors } from '../../src/checkpoint/safetensors.ts';
import { cacheFolder } from '../../src/cli/cache-folder.ts';
import type { Engine, HostTensor } from '../../src/engine/engine.ts';
import { RepulsorError } from '../../src/errors.ts';
import { DIGITS_CLASSIFIER, openClassifier } from '../../src/evaluation/classifier-extractor.ts';
import { engineProducts } from '../../src/evaluation/engine-products.ts';
import { extractFeatures } from '../../src/evaluation/extract-features.ts';
import { readFeatures } from '../../src/evaluation/features-file.ts';
import { measure } from '../../src/evaluation/measure.ts';
import { openReferenceCache } from '../../src/evaluation/reference-cache.ts';
import { runImages } from '../../src/evaluation/run-images.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import type { Task } from './plan.ts';
import type { Measurement } from './results.ts';
import { seenAt } from './seen.ts';
import { weightsAt } from './train-task.ts';

/** Of what is drawn and of the subsets of KID: the same noise for every run. */
const SEED = 0;
const KID_SUBSETS = 10;

/** Draws from the averaged weights of each mark that is asked for, and measures what was drawn, as `repulsor evaluate` does. */
export async function* measureTask(
  engine: Engine,
  pipeline: Pipeline,
  task: Task,
  marks: readonly number[],
): AsyncGenerator<Measurement> {
  const extractor = await openClassifier(engine, task.classifier === 'digits' ? DIGITS_CLASSIFIER : task.classifier);
  const [heldOut, trained] = [await readFeatures(task.heldOut), await readFeatures(task.trained)];
  const pairs = await engineProducts(engine, heldOut.features.shape[1]);
  try {
    const { classes } = pipeline.model;
    const labels = Array.from({ length: classes }, (_, label) => label);
    for (const step of marks) {
      const weights = await readWeights(weightsAt(task.folder, step));
      const images = runImages(engine, pipeline, weights, { samples: task.samples, labels, seed: SEED });
      const drawn = await extractFeatures(extractor, images);
      const how = {
        perClass: false,
        kidSubsets: { count: KID_SUBSETS, size: Math.min(task.samples, heldOut.labels.length), seed: SEED },
        products: pairs.products,
        rooted: openReferenceCache(cacheFolder()).rooted,
        note: () => undefined,
      };
      const measures = await measure(drawn, heldOut, { ...how, metrics: ['fid', 'kid', 'accuracy'] });
      const { fid, kid, accuracy } = measures as Record<'fid' | 'kid' | 'accuracy', number>;
      const { fid: fidTrained } = await measure(drawn, trained, { ...how, metrics: ['fid'] });
      const { set, variant, seed, steps, samples } = task;
      yield {
        ...{ set, variant, seed, step, steps, samples },
        ...{ fid, kid, accuracy, fidTrained: fidTrained as number },
        ...(await seenAt(task.folder, step)),
      };
    }
  } finally {
    pairs.dispose();
    extractor.dispose();
  }
}

async function readWeights(file: string): Promise<HostTensor> {
  const bytes = await readFile(file).catch((cause: Error) => {
    throw new RepulsorError('STATE_MISSING', `${file} is not there: a process died before it was written`, {
      hint: 'delete its folder; the same command trains that run anew',
      cause,
    });
  });
  return toHostTensors(await decodeSafetensors([bytes], bytes.length, file), file)['ema']!;
}
