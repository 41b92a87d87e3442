import { openEngine } from '../engine/choose.ts';
import { RepulsorError } from '../errors.ts';
import { classifierExtractor, writeClassifier } from '../evaluation/classifier-extractor.ts';
import { heldOut } from '../evaluation/held-out.ts';
import { sourceImages } from '../evaluation/source-images.ts';
import { trainClassifier } from '../evaluation/train-classifier.ts';
import { digits } from '../ingest/digits.ts';
import { imageFolder } from '../ingest/image-folder.ts';
import type { Console } from './console.ts';
import type { TrainClassifierOptions } from './train-classifier.ts';

/** What `repulsor train-classifier` does: trains on nine tenths of the images, asks it of the others, writes its weights. */
export async function runClassifierTraining(
  name: string,
  options: TrainClassifierOptions,
  console: Console,
): Promise<void> {
  const [height, width] = options.size ?? [0, 0];
  const size = options.size && { height, width, channels: options.grey ? (1 as const) : (3 as const) };
  const source = name === 'digits' ? digits() : await imageFolder(name, size ? { size } : {});
  const set = await sourceImages(source);
  const { train, test } = await heldOut(set);
  const classes = Math.max(source.classes.length, 1);
  if (classes < 2)
    throw new RepulsorError('USAGE', `${name} has no classes to tell apart`, {
      hint: 'give a folder with one subfolder of images for each class',
    });
  const { engine, message, fellBack } = await openEngine({ name: options.engine });
  (fellBack ? console.warn : console.note)(message);
  try {
    const settings = { input: set.shape, classes };
    const { epochs, seed } = options;
    console.note(`${train.labels.length} images to train on, ${test.labels.length} held out, ${classes} classes`);
    let told = 0;
    const flat = await trainClassifier(engine, {
      ...{ settings, train, epochs, seed },
      onStep: (step, steps, loss) => {
        if (Math.floor((20 * step) / steps) === told) return;
        told = Math.floor((20 * step) / steps);
        console.note(`step ${step}/${steps}  ${5 * told}%  loss ${loss.toPrecision(3)}`);
      },
    });
    const accuracy = await accuracyOf(flat);
    const about = { source: source.id, epochs: String(epochs), seed: String(seed), accuracy: accuracy.toFixed(4) };
    await writeClassifier(options.out, settings, flat, { ...about, held_out: String(test.labels.length) });
    console.result(
      { out: options.out, classes, parameters: flat.length, held_out: test.labels.length, accuracy, epochs, seed },
      `${(100 * accuracy).toFixed(1)}% of ${test.labels.length} held-out images told right: ${options.out}`,
    );

    async function accuracyOf(weights: Float32Array): Promise<number> {
      const extractor = await classifierExtractor(engine, settings, weights, { name, id: name });
      try {
        const { probabilities } = await extractor.extract(test.images, set.shape);
        let right = 0;
        for (const [i, label] of test.labels.entries()) {
          const row = probabilities!.data.subarray(i * classes, (i + 1) * classes);
          if (row.indexOf(Math.max(...row)) === label) right++;
        }
        return right / test.labels.length;
      } finally {
        extractor.dispose();
      }
    }
  } finally {
    engine.dispose();
  }
}
