import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { HostTensor, HostTensors, Tensors } from '../engine/engine.ts';
import { type ParameterLayout, parameterLayout, unpack } from '../model/parameters.ts';

/**
 * Each flat vector of the train state is held in two halves, so that two threads share what goes over all of it at a step's end:
 * the gradient put together, its norm, the optimizer. Each of these ops is one thread's. Two on every machine: what is
 * added up in which order decides a run's bits.
 */
const HALVES = [0, 1] as const;

/** The layouts of both, of two parameters or more: cut where the halves differ least in size. */
export function halvesOf({ specs, offsets, size }: ParameterLayout): readonly [ParameterLayout, ParameterLayout] {
  const away = offsets.map((offset, i) => (i === 0 ? size : Math.abs(offset - size / 2)));
  const cut = away.indexOf(Math.min(...away));
  return [parameterLayout(specs.slice(0, cut)), parameterLayout(specs.slice(cut))];
}

/** A half's name in the state. */
export const halfName = (vector: string, half: number): string => `${vector}.${half}`;

export const halfNames = (vector: string): string[] => HALVES.map((half) => halfName(vector, half));

/** Both halves of a vector of the state. */
export const halvesIn = (state: Tensors, vector: string): Tensor1D[] =>
  halfNames(vector).map((name) => state[name] as Tensor1D);

/** The parameters of the layout by name, each in its shape. */
export function unpackHalves(halves: readonly Tensor1D[], layout: ParameterLayout): Record<string, Tensor> {
  return Object.assign({}, ...halvesOf(layout).map((half, i) => unpack(halves[i]!, half)));
}

/** A flat vector as entries of the state: views, not copies. */
export function inHalves(vector: string, flat: Float32Array, layout: ParameterLayout): HostTensors {
  const [first, second] = halvesOf(layout);
  return {
    [halfName(vector, 0)]: { shape: [first.size], dtype: 'float32', data: flat.subarray(0, first.size) },
    [halfName(vector, 1)]: { shape: [second.size], dtype: 'float32', data: flat.subarray(first.size) },
  };
}

/** The flat vector (n) whose halves the state's entries are: a copy. */
export function joinHalves(state: HostTensors, vector: string): HostTensor {
  const halves = halfNames(vector).map((name) => state[name]!.data);
  const data = new Float32Array(halves.reduce((size, half) => size + half.length, 0));
  data.set(halves[0]!);
  data.set(halves[1]!, halves[0]!.length);
  return { shape: [data.length], dtype: 'float32', data };
}
