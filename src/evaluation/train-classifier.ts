import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Engine, ProgramFunction } from '../engine/engine.ts';
import { initialParameters, sizeOf } from '../model/parameters.ts';
import { adamwInit, adamwUpdate } from '../optim/adamw.ts';
import { learningRateAt } from '../optim/schedule.ts';
import { permutation } from '../random/philox.ts';
import { valueAndGradients } from '../trainer/gradient.ts';
import { type ClassifierSettings, classifierLayout, classify } from './classifier.ts';
import { perturb } from './perturb.ts';

export interface LabelledImages {
  /** (n, H, W, C) in [-1, 1]. */
  readonly images: Float32Array;
  readonly labels: Int32Array;
}

export interface ClassifierTraining {
  readonly settings: ClassifierSettings;
  readonly train: LabelledImages;
  /** Passes over the images. */
  readonly epochs: number;
  readonly seed: number;
  /** After each step. */
  readonly onStep?: (step: number, steps: number, loss: number) => void;
}

const BATCH = 64;
const ADAM = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 1e-2 };
const RATE = { learningRate: 3e-3, decayShare: 0.8 };
/** Steps over which the rate rises, or a tenth of all. */
const WARMUP = 100;
/** Share of the newest weights in their average; more in the first steps, whose average would else be of the beginning. */
const NEWEST = 0.005;
const newestShare = (step: number) => Math.max(NEWEST, 9 / (10 + step));

/**
 * Trains the classifier on perturbed images by cross-entropy, and gives its averaged weights, flat (`classifierLayout`). A pure
 * function of its input on one engine. Needs an engine that has the gradients of convolutions: native, or the slow cpu.
 */
export async function trainClassifier(engine: Engine, training: ClassifierTraining): Promise<Float32Array> {
  const { settings, train, epochs, seed } = training;
  const layout = classifierLayout(settings);
  const size = sizeOf(settings.input);
  const count = train.labels.length;
  const batch = Math.min(BATCH, count);
  const [perEpoch, vector] = [Math.floor(count / batch), { shape: [layout.size], dtype: 'float32' } as const];
  const initial = initialParameters(layout, seed);
  const { m, v } = adamwInit(layout.size);
  const program = await engine.compile({
    name: 'train-classifier',
    seed,
    state: {
      params: { ...vector, data: initial },
      m: { ...vector, data: m },
      v: { ...vector, data: v },
      average: { ...vector, data: initial.slice() },
    },
    inputs: {
      images: { shape: [batch, ...settings.input], dtype: 'float32' },
      labels: { shape: [batch], dtype: 'int32' },
      step: { shape: [], dtype: 'float32' },
      learningRate: { shape: [], dtype: 'float32' },
      newest: { shape: [], dtype: 'float32' },
    },
    fn: classifierStep(settings),
  });
  try {
    const steps = epochs * perEpoch;
    const schedule = { ...RATE, warmup: Math.min(WARMUP, Math.floor(steps / 10)) };
    for (let step = 1; step <= steps; step++) {
      const [epoch, at] = [Math.floor((step - 1) / perEpoch), (step - 1) % perEpoch];
      const order = permutation(seed, 'classifier', epoch, count).subarray(at * batch, (at + 1) * batch);
      const images = new Float32Array(batch * size);
      for (const [i, n] of order.entries())
        images.set(
          perturb(train.images.subarray(n * size, (n + 1) * size), settings.input, seed, epoch * count + n),
          i * size,
        );
      const labels = Int32Array.from(order, (n) => train.labels[n]);
      const learningRate = Float32Array.of(learningRateAt(step, steps, schedule));
      const rates = { learningRate, newest: Float32Array.of(newestShare(step)) };
      const { loss } = await program.run({ images, labels, step: Float32Array.of(step), ...rates }, step);
      training.onStep?.(step, steps, loss!.data[0]!);
    }
    const { average } = await program.readState(['average']);
    return average!.data as Float32Array;
  } finally {
    program.dispose();
  }
}

function classifierStep(settings: ClassifierSettings): ProgramFunction {
  return (state, inputs) => {
    const loss = (flat: Tensor1D) => {
      const { logits } = classify(flat, settings, inputs['images']);
      const right = tf.mul(tf.oneHot(inputs['labels'] as Tensor1D, settings.classes), tf.logSoftmax(logits));
      return { value: tf.neg(tf.mean(tf.sum(right, 1))) as Scalar, byProducts: {} as Record<string, Tensor> };
    };
    const { value, gradients } = valueAndGradients(loss, [state['params'] as Tensor1D]);
    const updated = adamwUpdate(
      gradients[0]!,
      { m: state['m'] as Tensor1D, v: state['v'] as Tensor1D },
      state['params'] as Tensor1D,
      inputs['learningRate'] as Scalar,
      inputs['step'] as Scalar,
      ADAM,
    );
    const before = state['average'] as Tensor1D;
    const average = tf.add(before, tf.mul(tf.sub(updated.parameters, before), inputs['newest']!));
    return { state: { params: updated.parameters, ...updated.state, average }, outputs: { loss: value } };
  };
}
