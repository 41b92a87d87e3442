import type * as tf from '@tensorflow/tfjs-core';
import { philoxKey } from '../../random/philox.ts';
import type { Random } from '../engine.ts';
import { DATA_TYPE, type Output } from './c-api.ts';
import { type Graph, output } from './graph.ts';

/** RNG_ALG_PHILOX (tensorflow/core/framework/rng_alg.h). */
const PHILOX = 1;

/** The streams of src/random/philox.ts, drawn by the graph itself. `tensor` gives what was drawn (float32) to the program's function. */
export function graphRandom(
  graph: Graph,
  seed: number,
  counter: Output,
  tensor: (drawn: Output, by: string, shape: number[]) => tf.Tensor,
): Random {
  const algorithm = graph.constant(DATA_TYPE.int32, [], Int32Array.of(PHILOX));
  const draw = (operation: string, purpose: string, shape: number[]): tf.Tensor => {
    const key = graph.constant(DATA_TYPE.uint64, [1], BigUint64Array.of(philoxKey(seed, purpose)));
    const size = graph.constant(DATA_TYPE.int32, [shape.length], Int32Array.from(shape));
    const drawn = graph.add(operation, [size, key, counter, algorithm], { dtype: { type: DATA_TYPE.float32 } });
    return tensor(output(drawn), operation, shape);
  };
  return {
    uniform: (purpose, shape) => draw('StatelessRandomUniformV2', purpose, shape),
    normal: (purpose, shape) => draw('StatelessRandomNormalV2', purpose, shape),
  };
}
