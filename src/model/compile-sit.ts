import type { Tensor1D } from '@tensorflow/tfjs-core';
import type { Engine } from '../engine/engine.ts';
import type { SiT } from './create-sit.ts';
import { unpack } from './parameters.ts';
import { sit, sitLayout } from './sit.ts';

/** A batch on the host, row-major. */
export interface SiTBatch {
  /** (B, H, W, C) float32 */
  readonly x: Float32Array;
  /** (B) float32, from noise (0) to data (1). */
  readonly t: Float32Array;
  /** (B) int32: the classes, or `model.classes` for no label. */
  readonly labels: Int32Array;
}

/** A SiT on an engine. Owned by whoever compiled it, who calls `dispose`. */
export interface CompiledSiT {
  /**
   * For any number of images what the model predicts, (B, H, W, C) float32, and the activations (B, N, D) after each block that was asked for.
   * @throws RepulsorError ENGINE_FAILED naming what is missing or misshapen
   */
  forward(batch: SiTBatch): Promise<{ readonly output: Float32Array; readonly features: readonly Float32Array[] }>;
  dispose(): void;
}

/**
 * A SiT ready to run; each new number of images is compiled at its first batch. `blocks`, counted from 1: whose activations are
 * wanted.
 * @throws RepulsorError ENGINE_FAILED
 */
export async function compileSiT(
  engine: Engine,
  { model, parameters }: SiT,
  { blocks = [] }: { readonly blocks?: readonly number[] } = {},
): Promise<CompiledSiT> {
  const layout = sitLayout(model);
  const program = await engine.compile({
    name: 'forward',
    seed: 0,
    state: { parameters: { shape: [parameters.length], dtype: 'float32', data: parameters } },
    inputs: {
      x: { shape: ['batch', ...model.input], dtype: 'float32' },
      t: { shape: ['batch'], dtype: 'float32' },
      labels: { shape: ['batch'], dtype: 'int32' },
    },
    fn: (state, inputs) => {
      const [t, labels] = [inputs['t'] as Tensor1D, inputs['labels'] as Tensor1D];
      const input = { x: inputs['x']!, t, labels };
      const { output, features } = sit(unpack(state['parameters'] as Tensor1D, layout), model, input, blocks);
      return { outputs: { output, ...Object.fromEntries(features.map((of, i) => [`features.${i}`, of])) } };
    },
  });
  return {
    async forward({ x, t, labels }) {
      const out = await program.run({ x, t, labels }, 0);
      const numbers = (name: string) => out[name]!.data as Float32Array;
      return { output: numbers('output'), features: blocks.map((_, i) => numbers(`features.${i}`)) };
    },
    dispose: () => program.dispose(),
  };
}
