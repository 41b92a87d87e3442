import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { runClassifierTraining } from '../../src/cli/classifier-training.ts';
import type { Console } from '../../src/cli/console.ts';
import { openEngine } from '../../src/engine/choose.ts';
import { DIGITS_CLASSIFIER, openClassifier } from '../../src/evaluation/classifier-extractor.ts';
import { extractFeatures } from '../../src/evaluation/extract-features.ts';
import { writeFeatures } from '../../src/evaluation/features-file.ts';
import { sourceImages } from '../../src/evaluation/source-images.ts';
import { holdOut } from '../../src/ingest/held-out.ts';
import { ingest } from '../../src/ingest/ingest.ts';
import { openLog } from '../../src/log/open-log.ts';
import { featuresOf } from './plan.ts';
import type { ImageSetOfStudy } from './sets.ts';

/** What all runs of a set share, where it is not there yet: two topics, a tenth held out; the classifier; the features of both parts. */
export async function prepare(
  set: ImageSetOfStudy,
  { out, log: url, note }: { readonly out: string; readonly log: string; readonly note: (line: string) => void },
): Promise<void> {
  const { heldOut, trained, classifier } = featuresOf(set, out);
  if (existsSync(heldOut)) return;
  const parts = holdOut(await set.images());
  note(`${set.name}: ${parts.train.total} images to train on, ${parts.heldOut.total} held out`);
  const log = await openLog(url);
  try {
    for (const [topic, source] of [
      [`${set.name}-held-out`, parts.heldOut],
      [set.name, parts.train],
    ] as const) {
      await log.createTopic(topic);
      await ingest(log, topic, source, { time: Date.now(), atomic: true, ifEmpty: true });
    }
  } finally {
    await log.close();
  }
  if (set.classifier !== 'digits' && !existsSync(classifier))
    await trainTheClassifier(set.classifier, classifier, note);
  const { engine } = await openEngine();
  try {
    const extractor = await openClassifier(engine, classifier === 'digits' ? DIGITS_CLASSIFIER : classifier);
    try {
      await writeFeatures(trained, await extractFeatures(extractor, await sourceImages(parts.train)));
      // Last: where it is there, all of it is.
      await writeFeatures(heldOut, await extractFeatures(extractor, await sourceImages(parts.heldOut)));
    } finally {
      extractor.dispose();
    }
  } finally {
    engine.dispose();
  }
}

/** By the project's own command; what it says of itself stays beside it. */
async function trainTheClassifier(
  how: Exclude<ImageSetOfStudy['classifier'], 'digits'>,
  out: string,
  note: (line: string) => void,
): Promise<void> {
  let said: object = {};
  const console: Console = {
    json: false,
    note,
    warn: note,
    result: (value, text) => {
      said = value;
      note(text);
    },
  };
  const { epochs, size } = how;
  await runClassifierTraining(await how.folder(), { out, size: [...size], epochs, seed: 0, engine: 'auto' }, console);
  await writeFile(`${out}.json`, `${JSON.stringify(said)}\n`);
}
