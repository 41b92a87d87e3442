import * as tf from '@tensorflow/tfjs-core';
import { RepulsorError } from '../errors.ts';

/** Name of the kernel that an engine registers which compiles functions. */
export const FUSED = 'RepulsorFused';

/** What such a kernel is given as its attributes. */
export interface FusedAttributes {
  readonly name: string;
  readonly fn: (...inputs: tf.Tensor[]) => tf.Tensor[];
  readonly forProducts: readonly number[];
  /** How many of the inputs, the first ones, are states that the results update. */
  readonly states: number;
}

/**
 * `fn(...inputs)` as one op: an engine that can compiles it to one loop, which reads each input and writes each result
 * once, where op by op every intermediate value passes through memory. Elsewhere `fn` is simply called.
 *
 * `name` stands for the function and for every number in it: two functions of one program with one name and inputs of the
 * same shapes are taken to be the same. It has no gradient: call it inside of tf.customGrad.
 *
 * `forProducts`: the results that only products read (src/engine/product.ts); where these are of bfloat16, so is the result.
 */
export function fused<T extends tf.Tensor[]>(
  name: string,
  inputs: readonly tf.Tensor[],
  fn: (...inputs: tf.Tensor[]) => T,
  forProducts: readonly number[] = [],
): T {
  if (tf.getKernel(FUSED, tf.getBackend()) === undefined) return tf.tidy(() => fn(...inputs));
  return call({ name, fn, forProducts, states: 0 }, inputs) as T;
}

/**
 * `fn(...states, ...inputs)` as one op like `fused`, whose results are the states' next values, one each. An engine that can
 * writes them where the old ones lie: a state of gigabytes then costs a step no new memory. What a program is, is
 * the same either way: the old values stay what they were for all that uses them, and a state is what the program returns for it.
 * @throws RepulsorError ENGINE_FAILED where the results are not of the states' number, shapes and dtypes
 */
export function fusedUpdate(
  name: string,
  states: readonly tf.Tensor[],
  inputs: readonly tf.Tensor[],
  fn: (...all: tf.Tensor[]) => tf.Tensor[],
): tf.Tensor[] {
  const all = [...states, ...inputs];
  const next = (...given: tf.Tensor[]): tf.Tensor[] => {
    const results = fn(...given);
    checkNext(name, states, results);
    return results;
  };
  if (tf.getKernel(FUSED, tf.getBackend()) === undefined) return tf.tidy(() => next(...all));
  return call({ name, fn: next, forProducts: [], states: states.length }, all);
}

function call(attributes: FusedAttributes, inputs: readonly tf.Tensor[]): tf.Tensor[] {
  const results = tf.engine().runKernel(FUSED, { ...inputs } as unknown as tf.NamedTensorMap, attributes as never);
  return results as tf.Tensor[];
}

function checkNext(name: string, states: readonly tf.Tensor[], results: readonly tf.Tensor[]): void {
  const words = (of: readonly tf.Tensor[]) => of.map(({ dtype, shape }) => `${dtype} [${shape}]`).join(', ');
  if (words(results) === words(states)) return;
  throw new RepulsorError('ENGINE_FAILED', `update "${name}" gives ${words(results)} for states of ${words(states)}`, {
    hint: 'Return the next value of each state, of its shape and dtype.',
  });
}
