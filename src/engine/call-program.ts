import { RepulsorError } from '../errors.ts';
import { withDeepStacks } from './call-site.ts';
import type { ProgramFunction, Random, Tensors } from './engine.ts';

/**
 * Calls a program's function. It has no randomness but the one it is given: tfjs draws on the host (tf.randomNormal,
 * tf.dropout, tf.multinomial), so that a traced graph would hold one draw for ever, and no run could be repeated.
 */
export function callProgram(
  fn: ProgramFunction,
  state: Tensors,
  inputs: Tensors,
  random: Random,
): ReturnType<ProgramFunction> {
  const { random: hidden } = Math;
  Math.random = refuse;
  try {
    return withDeepStacks(() => fn(state, inputs, random));
  } finally {
    Math.random = hidden;
  }
}

function refuse(): never {
  throw new RepulsorError('ENGINE_FAILED', 'a random number was drawn by Math.random, which nothing can repeat', {
    hint: 'draw from the `random` that the function is given: uniform(purpose, shape) and normal(purpose, shape)',
  });
}
