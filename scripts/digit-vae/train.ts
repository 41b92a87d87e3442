import type { Scalar, Tensor1D } from '@tensorflow/tfjs-core';
import type { Engine, ProgramFunction } from '../../src/engine/engine.ts';
import { initialParameters, unpack } from '../../src/model/parameters.ts';
import { adamwInit, adamwUpdate } from '../../src/optim/adamw.ts';
import { learningRateAt } from '../../src/optim/schedule.ts';
import { permutation } from '../../src/random/philox.ts';
import { valueAndGradients } from '../../src/trainer/gradient.ts';
import { IMAGE, LATENT, vaeLayout, vaeLoss } from './model.ts';

export interface VaeTraining {
  /** (n, 28, 28, 1) in [-1, 1]. */
  readonly images: Float32Array;
  readonly steps: number;
  readonly seed: number;
  readonly onStep?: (step: number, loss: number) => void;
}

const BATCH = 64;
const ADAM = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0 };
const RATE = { learningRate: 3e-3, warmup: 50, decayShare: 0.7 };
const SIZE = IMAGE[0] * IMAGE[1] * IMAGE[2];

/**
 * Trains the autoencoder, and gives its weights, flat (`vaeLayout`). A pure function of its input on one engine. Needs an
 * engine with the gradients of convolutions: native, or the slow cpu.
 */
export async function trainVae(engine: Engine, { images, steps, seed, onStep }: VaeTraining): Promise<Float32Array> {
  const layout = vaeLayout();
  const vector = { shape: [layout.size], dtype: 'float32' } as const;
  const { m, v } = adamwInit(layout.size);
  const fn: ProgramFunction = (state, inputs, random) => {
    const z = random.normal('posterior', [BATCH, ...LATENT]);
    const { gradients, byProducts } = valueAndGradients(
      (flat) => {
        const { loss, error } = vaeLoss(inputs['images']!, z, unpack(flat, layout));
        return { value: loss, byProducts: { error } };
      },
      [state['params'] as Tensor1D],
    );
    const moments = { m: state['m'] as Tensor1D, v: state['v'] as Tensor1D };
    const [rate, step] = [inputs['rate'] as Scalar, inputs['step'] as Scalar];
    const next = adamwUpdate(gradients[0]!, moments, state['params'] as Tensor1D, rate, step, ADAM);
    return { state: { params: next.parameters, ...next.state }, outputs: { error: byProducts.error } };
  };
  const program = await engine.compile({
    name: 'digit-vae',
    seed,
    state: {
      params: { ...vector, data: initialParameters(layout, seed) },
      m: { ...vector, data: m },
      v: { ...vector, data: v },
    },
    inputs: {
      images: { shape: [BATCH, ...IMAGE], dtype: 'float32' },
      rate: { shape: [], dtype: 'float32' },
      step: { shape: [], dtype: 'float32' },
    },
    fn,
  });
  try {
    const count = images.length / SIZE;
    const perEpoch = Math.floor(count / BATCH);
    const batch = new Float32Array(BATCH * SIZE);
    let order = new Uint32Array();
    for (let step = 1; step <= steps; step++) {
      const at = (step - 1) % perEpoch;
      if (at === 0) order = permutation(seed, 'digit-vae', (step - 1) / perEpoch, count);
      for (let i = 0; i < BATCH; i++) {
        const from = order[at * BATCH + i]! * SIZE;
        batch.set(images.subarray(from, from + SIZE), i * SIZE);
      }
      const rate = Float32Array.of(learningRateAt(step, steps, RATE));
      const { error } = await program.run({ images: batch, rate, step: Float32Array.of(step) }, step);
      onStep?.(step, error!.data[0]!);
    }
    return (await program.readState(['params']))['params']!.data as Float32Array;
  } finally {
    program.dispose();
  }
}
