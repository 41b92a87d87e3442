import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { adaLN, block, blockSpecs } from './block.ts';
import { embed, patchify, positions2d, timestepFeatures, unpatchify } from './embeddings.ts';
import { linear, linearSpecs } from './linear.ts';
import { modulatedNorm } from './modulated-norm.ts';
import { type ParameterLayout, type ParameterSpec, parameterLayout } from './parameters.ts';
import { silu } from './silu.ts';

/** A SiT (Ma et al. 2024): the DiT transformer with adaLN-Zero. What it predicts, the transport says. */
export interface SiTSettings {
  /** Height, width and channels of the images or latents. */
  readonly input: readonly [number, number, number];
  readonly patch: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpRatio: number;
  /** Real classes; one more, the null class, stands for "no label". */
  readonly classes: number;
  /** t is multiplied by this before the sinusoid: 1 in the official code, 10 learns faster on the digits. */
  readonly timeScale: number;
  /** Doubles the output channels; the second half is dropped by `sit` (the official checkpoints have it). */
  readonly learnSigma: boolean;
}

/** What the settings of the official models have in common. */
export const DEFAULT_SIT = { mlpRatio: 4, timeScale: 1, learnSigma: false } as const satisfies Partial<SiTSettings>;

/** Features of the sinusoid that t becomes. */
const FREQUENCIES = 256;

/** The class that stands for "no label". */
export function nullClass(settings: SiTSettings): number {
  return settings.classes;
}

function outputChannels(settings: SiTSettings): number {
  return settings.input[2] * (settings.learnSigma ? 2 : 1);
}

/** Every parameter, in the official checkpoints' names and order of use. */
export function sitSpecs(settings: SiTSettings): ParameterSpec[] {
  const { patch, width, depth, classes, mlpRatio, input } = settings;
  const embedding = { kind: 'normal', std: 0.02 } as const;
  const zeros = { kind: 'zeros' } as const;
  return [
    ...linearSpecs('x_embedder.proj', input[2] * patch * patch, width),
    ...linearSpecs('t_embedder.mlp.0', FREQUENCIES, width, embedding),
    ...linearSpecs('t_embedder.mlp.2', width, width, embedding),
    { name: 'y_embedder.embedding_table.weight', shape: [classes + 1, width], init: embedding },
    ...Array.from({ length: depth }, (_, i) => blockSpecs(`blocks.${i}`, width, mlpRatio)).flat(),
    ...linearSpecs('final_layer.linear', width, patch * patch * outputChannels(settings), zeros),
    ...linearSpecs('final_layer.adaLN_modulation.1', width, 2 * width, zeros),
  ];
}

/** Where each parameter lies in the flat vector. */
export function sitLayout(settings: SiTSettings): ParameterLayout {
  return parameterLayout(sitSpecs(settings));
}

export interface SiTInput {
  /** (B, H, W, C) */
  readonly x: Tensor;
  /** (B), from noise (0) to data (1). */
  readonly t: Tensor1D;
  /** (B) int32; `nullClass` for none. */
  readonly labels: Tensor1D;
}

/** What every block is told: SiLU(t_emb + y_emb), (B, D). */
function condition(input: SiTInput, parameters: Record<string, Tensor>, settings: SiTSettings): Tensor {
  const features = timestepFeatures(tf.mul(input.t, settings.timeScale), FREQUENCIES);
  const hidden = silu(linear(features, parameters['t_embedder.mlp.0.weight'], parameters['t_embedder.mlp.0.bias']));
  const time = linear(hidden, parameters['t_embedder.mlp.2.weight'], parameters['t_embedder.mlp.2.bias']);
  const label = embed(input.labels, parameters['y_embedder.embedding_table.weight'] as Tensor2D);
  return silu(tf.add(time, label));
}

/** Tokens with their positions, (B, N, D). */
function tokens(input: SiTInput, parameters: Record<string, Tensor>, settings: SiTSettings): Tensor {
  const { patch, width } = settings;
  const [rows, columns] = [settings.input[0] / patch, settings.input[1] / patch];
  const embedded = linear(
    patchify(input.x, patch),
    parameters['x_embedder.proj.weight'],
    parameters['x_embedder.proj.bias'],
  );
  return tf.add(embedded, tf.tensor3d(positions2d(rows, columns, width), [1, rows * columns, width]));
}

/**
 * Activations (B, N, D) after each block of `taps` (counted from 1): all that the momentum keys need of the slow network.
 * No block after the last of them runs.
 */
export function sitFeatures(
  parameters: Record<string, Tensor>,
  settings: SiTSettings,
  input: SiTInput,
  taps: readonly number[],
): Tensor[] {
  const after = activations(parameters, settings, input, condition(input, parameters, settings), Math.max(...taps));
  return taps.map((tap) => after[tap]);
}

/** What the first `blocks` blocks are given and give: the tokens, then what each makes of them. */
function activations(
  parameters: Record<string, Tensor>,
  settings: SiTSettings,
  input: SiTInput,
  c: Tensor,
  blocks: number,
): Tensor[] {
  const after = [tokens(input, parameters, settings)];
  for (let i = 0; i < blocks; i++) after.push(block(after[i], c, parameters, `blocks.${i}`, settings.heads));
  return after;
}

/**
 * What it predicts (B, H, W, C) and the activations (B, N, D) after each block of `taps` (counted from 1).
 * At initialisation the output is exactly zero: the final layer starts at zero.
 */
export function sit(
  parameters: Record<string, Tensor>,
  settings: SiTSettings,
  input: SiTInput,
  taps: readonly number[],
): { output: Tensor; features: Tensor[] } {
  const { patch, depth } = settings;
  const [height, width, channels] = settings.input;
  const c = condition(input, parameters, settings);
  const after = activations(parameters, settings, input, c, depth);
  const [shift, scale] = adaLN(c, parameters, 'final_layer.adaLN_modulation.1', 2);
  const out = linear(
    modulatedNorm(after[depth], shift, scale),
    parameters['final_layer.linear.weight'],
    parameters['final_layer.linear.bias'],
  );
  const image = unpatchify(out, patch, height / patch, width / patch, outputChannels(settings));
  const output = settings.learnSigma ? tf.slice(image, [0, 0, 0, 0], [-1, -1, -1, channels]) : image;
  return { output, features: taps.map((tap) => after[tap]) };
}
