import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { decodeSafetensors, encodeSafetensors, toHostTensors } from '../checkpoint/safetensors.ts';
import { writeSafetensorsFile } from '../checkpoint/safetensors-file.ts';
import type { Engine } from '../engine/engine.ts';
import { runInBatches } from '../engine/run-in-batches.ts';
import { RepulsorError } from '../errors.ts';
import { sizeOf, views } from '../model/parameters.ts';
import { type ClassifierSettings, classifierLayout, classify, FEATURES } from './classifier.ts';
import type { FeatureExtractor } from './extractor.ts';

/** Marks the file, beside the tensors' names. */
const KIND = 'repulsor-classifier-1';

/** The classifier of the digits that comes with the package: `repulsor train-classifier digits` made it. */
export const DIGITS_CLASSIFIER = new URL('../../classifiers/digits.safetensors', import.meta.url);

/** Images of one engine call. */
const BATCH = 100;

/** Writes trained weights, with what they take and tell. @throws RepulsorError STORE_FAILED */
export async function writeClassifier(
  file: string,
  settings: ClassifierSettings,
  flat: Float32Array,
  about: Readonly<Record<string, string>>,
): Promise<void> {
  const metadata = { ...about, kind: KIND, input: settings.input.join('x'), classes: String(settings.classes) };
  await writeSafetensorsFile(file, encodeSafetensors(views(flat, classifierLayout(settings)), metadata));
}

/**
 * Opens such a file as an extractor; the caller disposes it.
 * @throws RepulsorError USAGE when it is none, STATE_DAMAGED
 */
export async function openClassifier(engine: Engine, file: string | URL): Promise<FeatureExtractor> {
  const where = file instanceof URL ? 'the classifier of the digits' : file;
  const bytes = await readFile(file).catch((cause: Error) => {
    throw new RepulsorError('USAGE', `${where} cannot be read: ${cause.message}`, {
      hint: 'make it with `repulsor train-classifier`, or name an ONNX model',
      cause,
    });
  });
  const stored = await decodeSafetensors([bytes], bytes.length, where);
  const settings = settingsOf(stored.metadata, where);
  const layout = classifierLayout(settings);
  const tensors = toHostTensors(stored, where);
  const flat = new Float32Array(layout.size);
  for (const [i, { name, shape }] of layout.specs.entries()) {
    if (tensors[name]?.shape.join() !== shape.join()) throw notOurs(where);
    flat.set(tensors[name].data, layout.offsets[i]);
  }
  return classifierExtractor(engine, settings, flat, {
    name: file instanceof URL ? 'digits' : file,
    id: `classifier:${createHash('sha256').update(bytes).digest('hex')}`,
  });
}

/** An extractor of weights at hand; the caller disposes it. */
export async function classifierExtractor(
  engine: Engine,
  settings: ClassifierSettings,
  flat: Float32Array,
  { name, id }: { readonly name: string; readonly id: string },
): Promise<FeatureExtractor> {
  const { input, classes } = settings;
  const program = await engine.compile({
    name: 'classifier',
    seed: 0,
    state: { params: { shape: [flat.length], dtype: 'float32', data: flat } },
    inputs: { images: { shape: [BATCH, ...input], dtype: 'float32' } },
    fn: (state, { images }) => {
      const { features, logits } = classify(state['params'] as Tensor1D, settings, images!);
      return { outputs: { features, probabilities: tf.softmax(logits) } };
    },
  });
  return {
    id,
    name,
    async extract(images, shape) {
      if (shape.join() !== input.join())
        throw new RepulsorError(
          'USAGE',
          `the classifier ${name} takes images of ${input.join('x')}, these are ${shape.join('x')}`,
          {
            hint: 'train one on such images with `repulsor train-classifier`, or name an ONNX model with --extractor',
          },
        );
      const n = images.length / sizeOf(input);
      const given = { images: { shape: [n, ...input], dtype: 'float32', data: images } } as const;
      const { features, probabilities } = await runInBatches(program, given, BATCH);
      return {
        features: { shape: [n, FEATURES], data: features!.data as Float32Array },
        probabilities: { shape: [n, classes], data: probabilities!.data as Float32Array },
      };
    },
    dispose: () => program.dispose(),
  };
}

function settingsOf({ kind, input, classes }: Readonly<Record<string, string>>, where: string): ClassifierSettings {
  const shape = (input ?? '').split('x').map(Number);
  if (kind !== KIND || shape.length !== 3 || !Number.isInteger(Number(classes))) throw notOurs(where);
  return { input: shape as [number, number, number], classes: Number(classes) };
}

function notOurs(where: string): RepulsorError {
  return new RepulsorError('USAGE', `${where} is no classifier of ours`, {
    hint: 'make one with `repulsor train-classifier`, or name an ONNX model (.onnx)',
  });
}
