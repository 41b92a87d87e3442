import { openEngine } from '../engine/choose.ts';
import type { Engine, EngineWish } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import { engineProducts } from '../evaluation/engine-products.ts';
import { type FeatureSet, ofClasses } from '../evaluation/feature-set.ts';
import { readFeatures } from '../evaluation/features-file.ts';
import { isSampleMetric, type Measures, measure } from '../evaluation/measure.ts';
import { openReferenceCache } from '../evaluation/reference-cache.ts';
import { cacheFolder } from './cache-folder.ts';
import type { Console } from './console.ts';
import type { EvaluateOptions } from './evaluate.ts';

/** What `repulsor evaluate --features` does. */
export async function compareFeatures(
  [ours, theirs]: readonly [string, string],
  options: EvaluateOptions & { readonly engine: EngineWish },
  console: Console,
): Promise<void> {
  const [generated, reference] = [await readFeatures(ours), await readFeatures(theirs)];
  const { engine, message, fellBack } = await openEngine({ name: options.engine });
  (fellBack ? console.warn : console.note)(message);
  try {
    const measures = await measureSets(engine, generated, reference, options, console);
    const images = { samples: generated.labels.length, reference_images: reference.labels.length };
    console.result(
      { generated: ours, reference: theirs, ...images, ...measures },
      `${ours} (${images.samples}) against ${theirs} (${images.reference_images})\n${inWords(measures)}`,
    );
  } finally {
    engine.dispose();
  }
}

/** Measures two sets as the flags say; the Gaussian of the reference is kept. @throws RepulsorError USAGE */
export async function measureSets(
  engine: Engine,
  generated: FeatureSet,
  reference: FeatureSet,
  { metrics, perClass, kid, seed, labels }: EvaluateOptions,
  console: Console,
): Promise<Measures> {
  const [ours, theirs] = [generated.extractor, reference.extractor];
  if (ours !== null && theirs !== null && ours !== theirs)
    throw new RepulsorError('USAGE', `the features are of two extractors, ${ours} and ${theirs}`, {
      hint: 'make both with one',
    });
  const wanted = labels ?? null;
  const [chosen, compared] = [ofClasses(generated, wanted), ofClasses(reference, wanted)];
  const pairs = await engineProducts(engine, chosen.features.shape[1]);
  try {
    return await measure(chosen, compared, {
      metrics: metrics.filter(isSampleMetric),
      perClass: perClass ?? false,
      kidSubsets: kid && { ...kid, seed },
      products: pairs.products,
      rooted: openReferenceCache(cacheFolder()).rooted,
      note: console.note,
    });
  } finally {
    pairs.dispose();
  }
}

/** One measure a line. */
export function inWords(measures: Measures): string {
  return Object.entries(measures)
    .flatMap(([name, value]): [string, string][] => {
      if (typeof value === 'number') return [[name, value.toPrecision(5)]];
      return Object.entries(value).map(([label, { fid, samples, reference_images, accuracy }]) => [
        `class ${label}`,
        `fid ${fid?.toPrecision(5) ?? 'unknown'} of ${samples} against ${reference_images}` +
          (accuracy === undefined ? '' : `, accuracy ${accuracy.toPrecision(4)}`),
      ]);
    })
    .map(([name, value]) => `${name.padEnd(20)} ${value}`)
    .join('\n');
}
